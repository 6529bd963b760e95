"""What builds the project and its reference pages; not part of the server."""
