"""Foundry's `cast` on a session, as on any chain: a client that nobody here wrote."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from support.engine import PLAYERS
from support.rpc import Session

CAST = Path(__file__).parents[2] / "toolchain" / "bin" / "cast"
PLAYER = PLAYERS[7]


def cast(session: Session, *arguments: str) -> str:
    """What a `cast` command prints."""
    command = [CAST, *arguments, "--rpc-url", session.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"cast {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def cast_json(session: Session, *arguments: str) -> Any:
    return json.loads(cast(session, *arguments, "--json"))


def test_cast_plays_and_reads(session: Session) -> None:
    key = "0x" + bytes(PLAYER.key).hex()
    assert int(cast(session, "chain-id")) == session.chain_id
    free = ["--gas-price", "0", "--private-key", key]
    sent = cast_json(
        session, "send", session.probe, "note(uint256,bytes)", "5", "0x1234", *free, "--priority-gas-price", "0"
    )
    legacy = cast_json(session, "send", session.probe, "note(uint256,bytes)", "6", "0x", *free, "--legacy")
    assert sent["status"] == legacy["status"] == "0x1" and legacy["type"] == "0x0" and sent["type"] == "0x2"
    assert int(cast(session, "nonce", PLAYER.address)) == 2
    assert int(cast(session, "call", session.probe, "counter()(uint256)").split()[0]) == 2

    block = cast_json(session, "block", sent["blockHash"])
    assert block["hash"] == sent["blockHash"] and sent["transactionHash"] in block["transactions"]
    assert cast_json(session, "tx", sent["transactionHash"])["blockHash"] == sent["blockHash"]
    assert cast_json(session, "receipt", legacy["transactionHash"])["transactionHash"] == legacy["transactionHash"]
    logs = cast_json(session, "logs", "--from-block", "0", "--address", session.probe)
    assert [log["transactionHash"] for log in logs if log["transactionHash"] == sent["transactionHash"]]

    proof = cast_json(session, "proof", PLAYER.address)
    assert int(proof["nonce"], 16) == 2 and proof["accountProof"]
    assert (
        int(cast(session, "estimate", session.probe, "note(uint256,bytes)", "7", "0x", "--from", PLAYER.address))
        > 21_000
    )
    assert cast(session, "gas-price") == "0"


def test_cast_shows_why_a_call_fails(session: Session) -> None:
    command = [CAST, "call", session.probe, "failText()", "--rpc-url", session.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and "no luck" in done.stderr
