"""Autobahn|Testsuite's fuzzing client against ``signalbox serve --debug-echo``: ``python -m tests.autobahn``.

The test suite is a program of Python 2.7, so it is not among our dependencies: it is found as ``wstest`` on the PATH or
in ``WSTEST``, or is made in ``.wstest`` by ``--install`` where there is a python2.7 (``PYTHON2``). Where it cannot be
had this says so and ends with 0: it is no part of ``make test``. Exit code 1: a case has failed.

Left out are compression (12, 13), which the server does not agree to.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN = ROOT / ".wstest"
GOOD = ("OK", "NON-STRICT", "INFORMATIONAL")
EXCLUDED = ["12.*", "13.*"]


def main() -> int:
    """Run the cases and print what became of them by category."""
    parser = argparse.ArgumentParser(prog="python -m tests.autobahn", description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", nargs="+", default=["*"], metavar="CASE", help='such as "1.*" (default: all)')
    parser.add_argument("--install", action="store_true", help="make a wstest in .wstest if there is a python2.7")
    arguments = parser.parse_args()
    wstest = find_wstest() or (install() if arguments.install else None)
    if wstest is None:
        print("SKIPPED: no wstest here (Autobahn|Testsuite, Python 2.7), so NOTHING WAS TESTED.")
        print("Put it on the PATH, name it in WSTEST, or run: python -m tests.autobahn --install")
        return 0
    with tempfile.TemporaryDirectory(prefix="signalbox-autobahn-") as folder:
        return judge(run(wstest, arguments.cases, Path(folder)))


def find_wstest() -> str | None:
    """The program, if there is one."""
    own = OWN / "bin" / "wstest"
    return os.environ.get("WSTEST") or shutil.which("wstest") or (str(own) if own.exists() else None)


def install() -> str | None:
    """Make an environment of Python 2.7 with the test suite; None if that cannot be."""
    python = os.environ.get("PYTHON2") or shutil.which("python2.7")
    if python is None or subprocess.run([python, "--version"], capture_output=True, check=False).returncode:
        print("there is no python2.7: name one in PYTHON2")
        return None
    tool = OWN / "tool"
    try:
        subprocess.run([python, "-m", "pip", "install", "-q", "--target", str(tool), "virtualenv<20.22"], check=True)
        environ = {**os.environ, "PYTHONPATH": str(tool)}
        subprocess.run([python, "-m", "virtualenv", "-q", str(OWN)], env=environ, check=True)
        subprocess.run([str(OWN / "bin" / "pip"), "install", "-q", "autobahntestsuite"], check=True)
    except subprocess.CalledProcessError as problem:
        print(f"it could not be installed: {problem}")
        return None
    return str(OWN / "bin" / "wstest")


def run(wstest: str, cases: list[str], folder: Path) -> dict[str, dict[str, str]]:
    """What the fuzzing client reports of each case."""
    environ = {**os.environ, "SIGNALBOX_SECRET": secrets.token_hex(32)}
    command = [
        sys.executable,
        "-m",
        "router.cli",
        "serve",
        "--debug-echo",
        "--port",
        "0",
        "--store",
        "sqlite:///:memory:",
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert server.stdout is not None
        ready = server.stdout.readline()
        assert ready, (folder / "log").read_text()
        port = ready.rpartition(":")[2].partition("/")[0]
        specification = {
            "outdir": str(folder / "reports"),
            "servers": [{"agent": "signalbox", "url": f"ws://127.0.0.1:{port}/debug/echo"}],
            "cases": cases,
            "exclude-cases": EXCLUDED,
            "exclude-agent-cases": {},
        }
        path = folder / "spec.json"
        path.write_text(json.dumps(specification))
        subprocess.run(
            [wstest, "-m", "fuzzingclient", "-s", str(path)], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
    finally:
        server.terminate()
        server.wait(60)
    found: dict[str, dict[str, str]] = json.loads((folder / "reports" / "index.json").read_text())["signalbox"]
    return found


def judge(results: dict[str, dict[str, str]]) -> int:
    """Print the figures; 1 if a case has failed."""
    by_category: dict[str, Counter[str]] = {}
    failed = []
    for case, result in results.items():
        category = by_category.setdefault(case.partition(".")[0], Counter())
        category[result["behavior"]] += 1
        if result["behavior"] not in GOOD or result["behaviorClose"] not in GOOD:
            failed.append(f"{case}: {result['behavior']}, close {result['behaviorClose']}")
    for name in sorted(by_category, key=int):
        print(f"category {name}: " + ", ".join(f"{count} {what}" for what, count in by_category[name].most_common()))
    print(f"{len(results)} cases, {len(failed)} failed")
    print("\n".join(failed))
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
