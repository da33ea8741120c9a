"""Preconfirmations that players keep: what an operator signed of his blocks (docs/protocol.md, section 7).

A file holds one as `zkcop_getPreconfirmation` answers it, or a list of them:
`{"sessionId": "0x1", "number": "0x2", "blockHash": "0x…", "signature": "0x…"}`.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import structlog

from exclave.dispute.payloads import SignedBlock
from exclave.protocol import InvalidSignature, preconfirmation_digest, recover_signer

log = structlog.get_logger(__name__)


def read_preconfirmation(value: Any) -> SignedBlock:
    """One, from JSON. Raises `ValueError`."""
    try:
        session_id, number = (_number(value[name]) for name in ("sessionId", "number"))
        block_hash, signature = (bytes.fromhex(value[name].removeprefix("0x")) for name in ("blockHash", "signature"))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a preconfirmation: {error}") from error
    if len(block_hash) != 32 or len(signature) != 65 or not 0 <= session_id < 2**64 or not 0 <= number < 2**64:
        raise ValueError("not a preconfirmation: its numbers or hashes have another size")
    return SignedBlock(session_id, number, block_hash, signature)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else int(value, 0)


class Preconfirmations:
    """Those that were read, checked when they are used: whose they are depends on the session's operator."""

    def __init__(self, l1_chain_id: int, zk_relayer: bytes) -> None:
        self._l1_chain_id = l1_chain_id
        self._zk_relayer = zk_relayer
        self._read: dict[Path, int] = {}
        self._by_block: dict[tuple[int, int], dict[bytes, SignedBlock]] = defaultdict(dict)

    def add(self, signed: SignedBlock) -> None:
        """One more. Of several signatures of one hash, the first is kept."""
        self._by_block[signed.session_id, signed.number].setdefault(signed.block_hash + signed.signature, signed)

    def read_directory(self, directory: Path) -> None:
        """Read the files `*.json` that are new or were changed."""
        for path in sorted(directory.glob("*.json")):
            try:
                changed = path.stat().st_mtime_ns
                if self._read.get(path) == changed:
                    continue
                content = json.loads(path.read_text())
                found = [read_preconfirmation(item) for item in (content if isinstance(content, list) else [content])]
            except (OSError, ValueError) as error:
                log.warning("a preconfirmation can't be read", path=str(path), reason=str(error))
                continue
            self._read[path] = changed
            for signed in found:
                self.add(signed)

    def of_session(self, session_id: int, operator: bytes) -> Iterator[SignedBlock]:
        """Those of a session that its operator has signed."""
        for (of, _), signed in list(self._by_block.items()):
            if of == session_id:
                yield from (item for item in signed.values() if self._is_by(item, operator))

    def sessions(self) -> Iterable[int]:
        """The sessions of which there are any."""
        return sorted({session_id for session_id, _ in self._by_block})

    def contradictions(self, session_id: int, operator: bytes) -> Iterator[tuple[SignedBlock, SignedBlock]]:
        """Pairs of one number and different blocks, both by the operator."""
        by_number: dict[int, list[SignedBlock]] = defaultdict(list)
        for signed in self.of_session(session_id, operator):
            by_number[signed.number].append(signed)
        for together in by_number.values():
            for one, other in itertools.combinations(together, 2):
                if one.block_hash != other.block_hash:
                    yield one, other

    def _is_by(self, signed: SignedBlock, operator: bytes) -> bool:
        digest = preconfirmation_digest(
            self._l1_chain_id, self._zk_relayer, signed.session_id, signed.number, signed.block_hash
        )
        try:
            return recover_signer(digest, signed.signature) == operator
        except InvalidSignature:
            return False
