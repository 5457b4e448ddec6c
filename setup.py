"""What pyproject.toml cannot say: how the core is compiled with mypyc. Everything else stands there.

    SIGNALBOX_COMPILE=1 pip install .

Without the variable nothing is compiled, and neither mypy nor a C compiler is needed. With it pip is told what else
to fetch for the build (``NEEDED``), in its first look at this file; the core is compiled in the last one only.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

#: what is only structs with keywords (``protocol.frozen`` says why): plain data would gain nothing
INTERPRETED = {"__init__.py", "effects.py", "messages.py"}
NEEDED = ["mypy>=2.4", "msgspec>=0.19"]  # msgspec: for its types
BUILDS = {"build", "build_ext", "bdist_wheel", "editable_wheel", "install"}

wanted = os.environ.get("SIGNALBOX_COMPILE") == "1"
building = not BUILDS.isdisjoint(sys.argv)


def core() -> list[Extension]:
    """The modules of the core, translated to C."""
    from mypyc.build import mypycify

    files = sorted(str(path) for path in Path("actors").glob("*.py") if path.name not in INTERPRETED)
    found: list[Extension] = mypycify(files, opt_level="3", debug_level="0")
    return found


setup(ext_modules=core() if wanted and building else [], setup_requires=NEEDED if wanted and not building else [])
