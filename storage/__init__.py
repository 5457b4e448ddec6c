"""What is remembered: the port, and the stores behind it (SQLite and PostgreSQL).

Floor 1: imports ``protocol`` only, never ``actors``.
"""
