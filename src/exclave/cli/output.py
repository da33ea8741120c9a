"""How commands speak: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

out = Console()
err = Console(stderr=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what went wrong and end the program."""
    err.print("error:", style="bold red", end=" ")
    err.print(message, markup=False, highlight=False)
    sys.exit(code)


def print_json(value: Any) -> None:
    """`value` as JSON, for programs."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people. Cells are shown as they are, never as markup; nothing is cut off."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    out.print(table)


def print_record(title: str, fields: Iterable[tuple[str, object]]) -> None:
    """One thing with its properties, a line each."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields:
        table.add_row(name, "-" if value is None else escape(str(value)))
    out.print(table)


def escape(text: str) -> str:
    """Text from elsewhere (a node, a file) without effect on the terminal or on rich's markup."""
    printable = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return printable.replace("[", "\\[")


def ether(wei: int, digits: int = 18) -> str:
    """An amount in wei as people read it, rounded to so many digits after the point."""
    value = round(Decimal(wei) / 10**18, digits)
    return f"{value.normalize():f} ETH" if value else "0 ETH"


def moment(seconds: int) -> str:
    """Seconds since 1970 as a date and time, UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"{seconds} s since 1970"


def short(value: str | None) -> str:
    """A hash or address shortened for a table."""
    if value is None:
        return "-"
    return value if len(value) <= 14 else f"{value[:8]}…{value[-4:]}"
