"""Everything drawn with Rich, and how numbers are written."""
