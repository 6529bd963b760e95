"""Other implementations of S/MIME, driven the same way."""
