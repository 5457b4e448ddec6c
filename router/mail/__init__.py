"""Mail: from what the core wrote down to what a mail server takes.

core -> Mail -> draft (what must be read, and what the template is told) -> renderer (words) -> message (RFC 5322)
     <- Mailed <------------------------------- smtp, on the uvloop thread (loop) <- mailer (the driver's port)

In development a mail goes to the ``sink`` in this process; in a simulation to a box (``router.simulate.boxes``).
"""

from __future__ import annotations
