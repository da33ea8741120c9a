"""The commented configuration file and the reference page, both made from the models of `exclave.config`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from exclave.config import ENVIRONMENT_PREFIX, Config

# What the file of `exclave config init` suggests for keys without a default.
EXAMPLES: Mapping[str, Any] = {
    "l1.rpc_urls": ["http://127.0.0.1:8545"],
    "l1.chain_id": 31337,
    "l1.zk_relayer": "0x0000000000000000000000000000000000000000",
    "signer.keystore": "signer.json",
    "operator.keystore": "operator.json",
}


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the file; `default` is None when it has none."""

    section: str
    name: str
    description: str
    default: str | None
    required: bool

    @property
    def path(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return f"{ENVIRONMENT_PREFIX}{self.section.upper()}__{self.name.upper()}"


def sections() -> Iterator[tuple[str, str, list[Key]]]:
    """Each table of the file: its name, what it is about, its keys."""
    for section, field in Config.model_fields.items():
        model = field.annotation
        assert isinstance(model, type) and issubclass(model, BaseModel)
        keys = []
        for name, key in model.model_fields.items():
            required = key.default is PydanticUndefined
            default = None if required or key.default is None else literal(key.default)
            keys.append(Key(section, name, key.description or "", default, required))
        yield section, (model.__doc__ or "").strip(), keys


def literal(value: Any) -> str:
    """`value` as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(literal(item) for item in value)}]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def file_template(values: Mapping[str, Any] | None = None) -> str:
    """A complete, commented file. `values` (by `section.key`) are written out; the other keys show their default in a
    comment.
    """
    values = {**EXAMPLES, **(values or {})}
    lines = [
        "# Configuration of an Exclave node. Keys that are commented out have the value shown.",
        f"# Every key can be set in the environment instead: {ENVIRONMENT_PREFIX}NODE__PORT=8645 is [node] port.",
    ]
    for section, about, keys in sections():
        lines += ["", f"# {about}", f"[{section}]"]
        for key in keys:
            lines += textwrap.wrap(key.description, 110, initial_indent="# ", subsequent_indent="# ")
            if key.path in values:
                lines.append(f"{key.name} = {literal(values[key.path])}")
            elif key.default is not None:
                lines.append(f"# {key.name} = {key.default}")
            else:
                lines.append(f"# {key.name} =")
    return "\n".join(lines) + "\n"


def reference_page() -> str:
    """docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "<!-- Made by `exclave config reference`; edit src/exclave/config.py instead. -->",
        "",
        "The node reads a TOML file: the one given by `--config`, else `exclave.toml` in the working directory.",
        "`exclave config init` writes one with every key and its meaning; `exclave config check` says what is wrong",
        f"with it. A variable `{ENVIRONMENT_PREFIX}SECTION__KEY` in the environment overrides a key; lists have",
        "commas. Unknown keys are refused. Private keys and passwords are never in the file, only where to find them.",
    ]
    for section, about, keys in sections():
        lines += ["", f"## [{section}]", "", about, "", "| Key | Default | Meaning |", "|---|---|---|"]
        for key in keys:
            default = "required" if key.required else f"`{key.default}`" if key.default is not None else ""
            description = key.description.replace("|", "\\|")
            lines.append(f"| `{key.name}` | {default} | {description} |")
    return "\n".join(lines) + "\n"
