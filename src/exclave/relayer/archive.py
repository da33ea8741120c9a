"""Keeps the played chain of a session that an L1 reorg replaced by another one.

Its transactions were acknowledged and its preconfirmations signed, so they are evidence; the session itself can't go
on, because L1 knows another configuration or seed under its id.
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

from exclave.store import Session, Store


def archive_chain(store: Store, session: Session, directory: Path) -> Path | None:
    """Write a session's configuration and blocks to a file and return its path, None when no block was played.

    The file is on disk (fsync) when this returns, so that the chain may be dropped afterwards. Writing it again
    gives the same file.
    """
    head = store.blocks.head(session.session_id)
    if head is None:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"session-{session.session_id}-{head.hash.hex()[:16]}.jsonl.gz"
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
            file.write(_line(_session(session)))
            for block in store.blocks.load(session.session_id):
                file.write(
                    _line(
                        {
                            "number": block.number,
                            "hash": _hex(block.hash),
                            "header": _hex(block.header),
                            "preconfirmation": _hex(block.preconfirmation),
                            "transactions": [_hex(transaction) for transaction in block.transactions],
                        }
                    )
                )
        raw.flush()
        os.fsync(raw.fileno())
    os.replace(temporary, path)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return path


def _session(session: Session) -> dict[str, object]:
    return {
        "sessionId": session.session_id,
        "chainId": session.chain_id,
        "configHash": _hex(session.config_hash),
        "templateId": _hex(session.template_id),
        "game": _hex(session.game),
        "openedAt": session.opened_at,
        "openedBlock": session.opened_block,
        "deadline": session.deadline,
        "players": [_hex(player) for player in session.players],
        "initData": _hex(session.init_data),
        "terms": _hex(session.terms),
    }


def _line(value: dict[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
