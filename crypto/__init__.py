"""Certificates, trust and S/MIME: an island that knows nothing of mail servers.

Start with `crypto.smime` (sign, encrypt, decrypt, verify one MIME entity) and `crypto.trust`
(does this certificate lead to an anchor, for this use, at this instant). Everything is
synchronous and pure but for `crypto.tls`, which reads files; time is always an argument.
"""
