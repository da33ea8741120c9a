"""The project's figures, each measured beside its peer in the same run: `python -m benchmarks --help`."""

import sys
from pathlib import Path

# What the tests start, and the game: neither is part of the installed package.
for _directory in ("tests", "games/holdfast"):
    sys.path.insert(0, str(Path(__file__).parents[1] / _directory))
