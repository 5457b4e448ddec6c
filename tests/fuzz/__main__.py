"""``python -m tests.fuzz --seconds 60 [--seed N] [TARGET…]``: Hypothesis for as long as it is given, in rounds.

Each round takes the next target with the next seed and says so. A failure prints the seed, the smallest input that
shows it, and the file of the corpus it was written to; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import hashlib
import secrets
import sys
import time
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import TARGETS, inputs

CORPUS = Path(__file__).with_name("corpus")
EXAMPLES = {"frames": 300}  # a round of the others
USUAL = 2_000


def main() -> int:
    """Fuzz in rounds; 1 if something broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the decoders.")
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the first round")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)")
    arguments = parser.parse_args()
    names = arguments.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    ends = time.monotonic() + arguments.seconds
    for number in count(arguments.seed):
        name = names[(number - arguments.seed) % len(names)]
        began = time.monotonic()
        tried, broken = play(name, number)
        print(f"{name} seed {number}: {tried} inputs in {time.monotonic() - began:.1f} s", flush=True)
        if broken is not None:
            return tell(name, number, broken)
        if time.monotonic() > ends:
            return 0
    return 0


def play(name: str, number: int) -> tuple[int, bytes | None]:
    """One round: how many inputs were tried, and the smallest that broke the target."""
    tried, broken = 0, None

    @seed(number)
    @settings(
        max_examples=EXAMPLES.get(name, USUAL),
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(name))
    def once(data: bytes) -> None:
        nonlocal tried, broken
        tried += 1
        try:
            TARGETS[name](data)
        except Exception:
            broken = data  # the last one that Hypothesis tries is the smallest
            raise

    try:
        once()
    except Exception:
        return tried, broken
    return tried, None


def tell(name: str, number: int, data: bytes) -> int:
    """Print what broke, keep it, and say how to see it again."""
    path = CORPUS / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    print(f"BROKEN: {name}, seed {number}: {data!r}")
    print(f"kept as {path}; again: python -m tests.fuzz --seed {number} --seconds 0 {name}")
    try:
        TARGETS[name](data)
    except Exception:
        import traceback

        traceback.print_exc()
    return 1


if __name__ == "__main__":
    sys.exit(main())
