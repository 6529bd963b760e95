"""Any octets at all: every parser of strangers' octets gives a value or its declared error.

`make test` tries a few damaged samples of each target (hypothesis); `make fuzz` looks for new paths
through the code for as long as it is given (atheris).
"""
