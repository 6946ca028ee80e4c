"""The commands, one per file; `main.COMMANDS` is the table that imports each when it is used."""
