"""The command line: Click commands in, Rich drawings out."""
