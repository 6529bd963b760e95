"""Benchmarks: `make bench`, or `make bench B=store` for one; one JSON object a line."""
