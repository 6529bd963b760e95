"""Message octets outside the database.

Start at `mss/ports.py` (`BlobStore`, the promise) and `opening.py` (which store the settings name).
A reference is text that a row keeps; whatever the store, it ends with the blob's name.
"""
