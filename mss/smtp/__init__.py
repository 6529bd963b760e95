"""The SMTP doors and the outgoing relay: RFC 5321 on one side, typed calls on the other.

Begin with `server.open_smtp_doors` (doors) and `client.SmtpRelay` (relay). A door decides nothing:
it reads strictly, asks `mss.pipeline.accept`, and translates the answer by `replies`.
"""
