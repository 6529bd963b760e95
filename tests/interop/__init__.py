"""Against programs of others: run by `make test-interop`."""
