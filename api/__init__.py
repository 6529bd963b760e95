"""The HTTP door: translates requests to calls on `mss.services` and back, and decides nothing.

Start reading at `app.py`; each resource is one file in `routes/`, its shapes one in `schemas/`.
"""
