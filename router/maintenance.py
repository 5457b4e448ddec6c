"""The commands that look after a store: ``backup``, ``restore``, ``doctor``.

Progress goes to standard error, a line a second at most, and what was done to standard output.
"""

from __future__ import annotations

import argparse
import sys
import time

from router.commands import DONE, NO, Refused, now_ms, store_named, with_store

PROGRESS_S = 1.0


def backup(arguments: argparse.Namespace) -> int:
    """Write the state of a store into a file."""
    from storage.backup import backup as write

    url = store_named(arguments)

    def run() -> int:
        try:
            counts = write(url, arguments.file, Progress())
        except FileExistsError as problem:
            raise Refused(str(problem)) from None
        print(f"{arguments.file}: {_summed(counts)}")
        return DONE

    return with_store(run)


def restore(arguments: argparse.Namespace) -> int:
    """Fill a store with a backup."""
    from storage.backup import restore as fill

    url = store_named(arguments)

    def run() -> int:
        print(f"restored: {_summed(fill(arguments.file, url, Progress(), replace=arguments.replace))}")
        return DONE

    return with_store(run)


def doctor(arguments: argparse.Namespace) -> int:
    """Print what is wrong with a store, and put it right if told so."""
    from router.doctor import examine
    from storage.integrity import mend
    from storage.raw import writing

    url = store_named(arguments)

    def run() -> int:
        found = examine(url, now_ms(), Progress())
        if arguments.mend and any(fault.mending for fault in found):
            with writing(url, "doctor") as raw:
                print(f"mended {mend(raw)} rows")
            found = examine(url, now_ms(), Progress())
        for fault in found:
            print(fault.text + (f" (--mend would {fault.mending})" if fault.mending else ""))
        print(f"{len(found)} problems" if found else "no problems")
        return NO if found else DONE

    return with_store(run)


class Progress:
    """Says how far long work is."""

    def __init__(self) -> None:
        self._next_s = time.monotonic() + PROGRESS_S

    def __call__(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total``, of a table."""
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + PROGRESS_S
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)


def _summed(counts: dict[str, int]) -> str:
    """The larger tables first."""
    some = sorted(((number, name) for name, number in counts.items() if number), key=lambda item: (-item[0], item[1]))
    return ", ".join(f"{number:,} {name}" for number, name in some) or "an empty store"
