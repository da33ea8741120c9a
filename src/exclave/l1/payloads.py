"""Data of calls and creations, from the contracts' committed artifacts. No I/O."""

from __future__ import annotations

from typing import Any

from eth_abi.abi import encode

from exclave.contracts import Artifact
from exclave.protocol.fields import keccak256


def _type(entry: dict[str, Any]) -> str:
    kind = str(entry["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(part) for part in entry['components'])})" + kind.removeprefix("tuple")


def parameters_of(artifact: Artifact, function: str) -> list[str]:
    """The types of what a contract's function takes."""
    entry = next(item for item in artifact.abi if item["type"] == "function" and item["name"] == function)
    return [_type(parameter) for parameter in entry["inputs"]]


def selector_of(artifact: Artifact, function: str) -> bytes:
    """The first four bytes of the data of a call of a contract's function."""
    return keccak256(f"{function}({','.join(parameters_of(artifact, function))})".encode())[:4]


def encode_call(artifact: Artifact, function: str, *arguments: Any) -> bytes:
    """Call data of a contract's function."""
    return selector_of(artifact, function) + encode(parameters_of(artifact, function), arguments)


def encode_creation(artifact: Artifact, *arguments: Any) -> bytes:
    """The data of a transaction that creates a contract."""
    constructors = [item for item in artifact.abi if item["type"] == "constructor"]
    entry: dict[str, Any] = constructors[0] if constructors else {"inputs": []}
    return artifact.bytecode + encode([_type(parameter) for parameter in entry["inputs"]], arguments)
