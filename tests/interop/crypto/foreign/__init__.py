"""What peers write, and what must be said of it: one file for each peer."""
