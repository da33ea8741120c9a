"""Calls, answers and errors of the committed ABIs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from holdfast.paths import ARTIFACTS

PANIC: Final = bytes.fromhex("4e487b71")
REASON: Final = bytes.fromhex("08c379a0")


class ArtifactError(Exception):
    """A committed artifact of the game is missing or damaged: scripts/export_artifacts.py writes it."""


@dataclass(frozen=True)
class Function:
    """A function of a contract."""

    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def encode(self, *arguments: Any) -> bytes:
        """Calldata. Raises `eth_abi.exceptions.EncodingError`."""
        return self.selector + encode(self.inputs, arguments)

    def decode(self, data: bytes) -> Any:
        """What it returned: a value if it returns one, else a tuple. Raises `eth_abi.exceptions.DecodingError`."""
        values = decode(self.outputs, data)
        return values[0] if len(values) == 1 else values


class Abi:
    """A contract's functions by name (they have no overloads that the game uses) and errors by selector."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self._functions: dict[str, Function] = {}
        self._errors: dict[bytes, tuple[str, tuple[str, ...]]] = {}
        for entry in entries:
            inputs = tuple(_type(item) for item in entry.get("inputs", []))
            selector = keccak(text=f"{entry.get('name')}({','.join(inputs)})")[:4]
            if entry["type"] == "function":
                outputs = tuple(_type(item) for item in entry["outputs"])
                self._functions[entry["name"]] = Function(selector, inputs, outputs)
            elif entry["type"] == "error":
                self._errors[selector] = (entry["name"], inputs)

    def __getitem__(self, name: str) -> Function:
        return self._functions[name]

    def explain(self, revert: bytes) -> str:
        """Why a call reverted, such as "TooFar(2, 7, 6)"."""
        selector, data = revert[:4], revert[4:]
        try:
            if selector == REASON:
                return str(decode(["string"], data)[0])
            if selector == PANIC:
                return f"Panic({decode(['uint256'], data)[0]:#x})"
            name, types = self._errors[selector]
            return f"{name}({', '.join(map(_plain, decode(types, data)))})"
        except Exception:
            return f"reverted with 0x{revert.hex()}" if revert else "reverted without a reason"


@cache
def artifact(name: str) -> dict[str, Any]:
    """A committed artifact: "IWorld", "HoldfastLobby" or "template".

    Raises:
        ArtifactError: it can't be read.
    """
    try:
        content: dict[str, Any] = json.loads((ARTIFACTS / f"{name}.json").read_text())
        return content
    except (OSError, ValueError) as error:
        raise ArtifactError(f"no usable artifact {name!r}: {error}") from error


@cache
def abi(name: str) -> Abi:
    """The ABI of "IWorld" or "HoldfastLobby". Raises `ArtifactError`."""
    return Abi(artifact(name)["abi"])


def _type(item: dict[str, Any]) -> str:
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(part) for part in item['components'])}){kind.removeprefix('tuple')}"


def _plain(value: Any) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
