"""The words of signalbox: what clients, the core and the stores say to each other.

Floor 0: imports nothing of the house. Everything here is plain data (``msgspec`` structs) or a
sans-I/O machine that turns bytes into it and back. The OpenRPC document is generated from these structs.
"""
