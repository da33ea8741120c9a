#!/usr/bin/env python3
"""Builds the game's template with `mud deploy` and writes it to template.bin, or checks that this is current.

It needs the packages of `npm ci`, and takes some minutes.

usage: build_template.py [--check]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

GAME = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(GAME), str(Path(__file__).resolve().parents[3] / "src")]

from holdfast.deploy import build_template, describe_template  # noqa: E402
from holdfast.paths import TEMPLATE, TEMPLATE_RECORD  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the committed template is stale")
    check = parser.parse_args().check
    print("building: this takes some minutes", flush=True)
    data, world = build_template()
    record = json.dumps(describe_template(data, world), indent=1) + "\n"
    current = TEMPLATE.exists() and TEMPLATE.read_bytes() == data and TEMPLATE_RECORD.read_text() == record
    if check and not current:
        print("template.bin is stale: run games/holdfast/scripts/build_template.py", file=sys.stderr)
        return 1
    if not current:
        TEMPLATE.write_bytes(data)
        TEMPLATE_RECORD.write_text(record)
    print(f"template.bin ({len(data)} bytes) {'was current' if current else 'written'}")
    print(record, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
