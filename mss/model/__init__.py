"""The nouns of the server: values and state machines, without any I/O."""
