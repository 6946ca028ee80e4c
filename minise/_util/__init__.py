"""Infrastructure that every room uses: files, locks, optional modules, JSON, plugins. None of it knows a network."""
