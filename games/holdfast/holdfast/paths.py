"""Where the game's committed files are."""

from __future__ import annotations

from pathlib import Path
from typing import Final

GAME: Final = Path(__file__).resolve().parents[1]
ARTIFACTS: Final = GAME / "artifacts"
TEMPLATE: Final = GAME / "template.bin"
TEMPLATE_RECORD: Final = ARTIFACTS / "template.json"
TOOLCHAIN: Final = GAME.parents[1] / "toolchain" / "bin"
