"""Read, write and check health documents inside a message; no I/O.

Start with `xdm` (the archive that a mail carries) and `cda` (one document in it). `check` says what
is wrong with either; `letter` says what the mail around them needs; `sample` writes a whole
discharge letter about nobody.
"""
