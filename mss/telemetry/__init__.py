"""What an administrator sees of a running server: its log and its health."""
