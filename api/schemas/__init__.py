"""The JSON shapes of the API: wire models only, no behaviour."""
