"""What happens next: the deterministic core.

Floor 1: imports ``protocol`` only. Nothing here reads a clock, random numbers, the environment or the
network; time is an argument, and the same inputs give the same outputs, byte for byte.
"""
