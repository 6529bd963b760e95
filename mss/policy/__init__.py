"""The rules: facts in, verdict out; no input or output, so each can be read and tested alone."""
