"""LDAP version 3, as much of it as finding people and certificates takes.

`message` and `filters` are the language; `client` asks a directory of certificates; `door`,
`answering` and `entries` let mail programs search ours.
"""
