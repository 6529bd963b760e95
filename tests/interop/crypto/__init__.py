"""S/MIME against other implementations: who reads what we write, and do we read what they write?"""
