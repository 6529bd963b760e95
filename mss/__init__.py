"""A server for secure health messaging in the French style (MSSanté).

A hospital's software hands over a letter; the server checks who sends, finds the recipient's
mailbox, signs and encrypts, carries the letter to the recipient's operator, and lets the
recipient's software read it. Start reading at `mss/pipeline/accept.py`: the single way in.
"""

__version__ = "0.1.0"
