"""Octets to typed mail and back, without a socket, a file or a clock.

Start with `parse.parse_message` (what came in) and `build.build_message` (what goes out). `entity`
moves header fields in and out of a protected entity; `dsn`, `mdn` and `reports` are about mail that
speaks of other mail. Every reader raises `errors.MessageSyntaxError`, whatever the octets.
"""
