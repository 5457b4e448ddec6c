"""Kill a real server under real load, again and again, and check from outside that nothing was lost or done twice.

    python -m tests.kill --kills 20 [--seed 7] [--store sqlite|postgresql://…]

``run`` starts the server, lets the ``people`` (real WebSocket clients) work, kills it with SIGKILL at random moments
and starts it again on the same store; each ``client`` resumes with ``since`` and repeats with the same key what it has
no answer to. In the end the ``checker`` reads the clients' own ``ledger``s, all timelines through the protocol, and the
store's ``rows``; ``life`` tells by the rules of the product, not by the server's code, what must be in a timeline.

What this does not show: loss of power. The kernel outlives the process, so what was written but not yet on the disk
is still there afterwards; the stores' own tests look at how they sync.
"""
