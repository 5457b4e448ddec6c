"""``signalbox simulate``: scenarios against the real session, codec, core and store, in virtual time.

files -> yaml_file, scenario, steps (what is asked) -> play (one step after another) -> judge, matching (was it so)
                                                        | virtual, virtual_client, cast: server, clients, clock
"""

from __future__ import annotations

from router.simulate.run import main, perform

__all__ = ["main", "perform"]
