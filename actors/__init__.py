"""What happens next: the deterministic core.

Floor 1: imports ``protocol`` only. Nothing here reads a clock, random numbers, the environment or the
network; time is an argument, and the same inputs give the same outputs, byte for byte.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr as mypyc_attr  # for mypyc to read; no need of it when running
else:

    def mypyc_attr(**_: Any) -> Any:
        """Say something to mypyc. Interpreted it says nothing."""
        return lambda decorated: decorated
