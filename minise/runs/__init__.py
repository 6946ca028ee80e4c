"""A run on disk: its folder, the job that fills it, opening it again, and where its result comes from."""
