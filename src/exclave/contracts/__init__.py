"""The compiled contracts, committed so that running a node needs neither Node nor solc.

`contracts/export_artifacts.py` writes them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


class ArtifactError(Exception):
    """A contract's artifact is missing or damaged; reinstall the package."""


@dataclass(frozen=True)
class Artifact:
    """One compiled contract."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    """Creation code, without constructor arguments."""
    deployed_bytecode: bytes
    """Runtime code, with immutables left zero."""


@cache
def load(name: str) -> Artifact:
    """The artifact of the contract `name`, such as "ZkRelayer".

    Raises:
        ArtifactError: there is none of this name, or it can't be read.
    """
    try:
        content = json.loads(resources.files(__name__).joinpath(f"{name}.json").read_text())
        return Artifact(
            name=content["name"],
            abi=content["abi"],
            bytecode=bytes.fromhex(content["bytecode"].removeprefix("0x")),
            deployed_bytecode=bytes.fromhex(content["deployedBytecode"].removeprefix("0x")),
        )
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"no usable artifact of contract {name!r}: {error}") from error
