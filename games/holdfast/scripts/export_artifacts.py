#!/usr/bin/env python3
"""Writes what players and nodes need of the game's sources to artifacts/, or checks that it is current.

The lobby's ABI and bytecode, and the World's ABI with the errors of all systems. It needs the compiled
contracts of both projects and compiles them first (the World's with the packages of `npm ci`).

usage: export_artifacts.py [--check]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

GAME = Path(__file__).resolve().parents[1]
SOURCES = Path(__file__).resolve().parents[3] / "src"
sys.path[:0] = [str(GAME), str(SOURCES)]

from holdfast.deploy import run_tool  # noqa: E402
from holdfast.paths import ARTIFACTS, TOOLCHAIN  # noqa: E402


def compiled(project: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((project / "out" / f"{name}.sol" / f"{name}.json").read_text())
    return content


def lobby() -> dict[str, Any]:
    content = compiled(GAME / "l1", "HoldfastLobby")
    return {"name": "HoldfastLobby", "abi": content["abi"], "bytecode": content["bytecode"]["object"]}


def world() -> dict[str, Any]:
    """The World's functions and events, and every error that a call of it can end with."""
    names = ["IWorld", *sorted(path.stem for path in (GAME / "src" / "systems").glob("*.sol"))]
    entries: dict[str, dict[str, Any]] = {}
    for name in names:
        for entry in compiled(GAME, name)["abi"]:
            if name == "IWorld" or entry["type"] == "error":
                entries[json.dumps(entry, sort_keys=True)] = entry
    return {"name": "IWorld", "abi": [entries[key] for key in sorted(entries)]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a committed artifact is stale")
    check = parser.parse_args().check
    run_tool(["npx", "mud", "build"])
    subprocess.run([TOOLCHAIN / "forge", "build", "--skip", "test", "--quiet"], check=True, cwd=GAME / "l1")
    stale = []
    for artifact in (lobby(), world()):
        path = ARTIFACTS / f"{artifact['name']}.json"
        content = json.dumps(artifact, indent=1, sort_keys=True) + "\n"
        if path.exists() and path.read_text() == content:
            continue
        stale.append(path.name)
        if not check:
            ARTIFACTS.mkdir(exist_ok=True)
            path.write_text(content)
    if check and stale:
        print(f"stale: {', '.join(stale)}; run games/holdfast/scripts/export_artifacts.py", file=sys.stderr)
        return 1
    print(f"written: {', '.join(stale) or 'nothing, all were current'}" if not check else "the artifacts are current")
    return 0


if __name__ == "__main__":
    sys.exit(main())
