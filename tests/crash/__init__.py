"""Kill an operator a thousand times while mail flows, and count every letter (`make crash N=1000`).

Start reading in `campaign.py`; what a letter is known by is in `letters.py`, what must be true at
the end in `verdict.py`.
"""
