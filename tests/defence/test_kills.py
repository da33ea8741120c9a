"""A node that is killed (`kill -9`) while it answers a challenge. INVARIANT I7: the next one goes on, and does nothing
twice.

Verifier and prover's program are stand-ins (`support.disputes`, `support.prover_stub`): a real proof takes minutes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import prover_stub
from support.anvil import account
from support.disputes import KEPT, Arena
from support.node_process import SIGNER, NodeProcess
from support.world import PLAYERS, raw_address

from exclave.store import Store

NODE = raw_address(account(SIGNER))


def make_process(arena: Arena, directory: Path, monkeypatch: pytest.MonkeyPatch) -> NodeProcess:
    """A node that isn't started, with a prover's program that needs no time."""
    program = directory / "exclave-prover"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {prover_stub.__file__} "$@"\n')
    program.chmod(0o755)
    lists = {f"accept.{key}": f'["{value[0]}"]' for key, value in arena.accept.items()}
    times = {"l1.poll_interval": "0.1", "defence.poll_interval": "0.1", "defence.retry_delay": "1.0"}
    overrides = {**lists, **times, "defence.prover": f'"{program}"', "coordinator.batch_delay": "0"}
    monkeypatch.setenv("STUB_DATABASE", f"sqlite:///{directory}/data/exclave.db")
    monkeypatch.setenv("STUB_RELAYER", arena.world.zk_relayer.hex())
    monkeypatch.setenv("STUB_PROVER", NODE.hex())
    monkeypatch.setenv("STUB_LOG", str(directory / "proofs.log"))
    return NodeProcess(arena.world, directory, overrides)


def until(what: str, condition: Callable[[], Any], act: Callable[[], Any] = lambda: None) -> Any:
    """Wait until `condition()` is true, and call `act` meanwhile; returns its value."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := condition():
            return found
        act()
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


def test_a_node_killed_at_each_step_of_a_verification_goes_on(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, anvil = arena.world, arena.world.anvil
    node = make_process(arena, tmp_path, monkeypatch)
    try:
        node.start()
        session_id = world.open_session(target=2, terms=arena.terms())

        def running() -> bool:
            return any(session["status"] == "running" for session in node.call("zkcop_listSessions"))

        until("it opens", running, anvil.mine)
        for nonce in range(2):
            raw = world.increment(session_id, PLAYERS[0], nonce)
            node.call("eth_sendRawTransaction", "0x" + raw.hex(), session=session_id)
        claims = until("it is claimed", lambda: node.call("zkcop_getClaimsBySession", session_id), anvil.mine)
        with Store(node.database_url) as store:
            leaf = arena.leaf(store, int(claims[0]["claimId"], 16))
            arena.challenge(leaf, 1)
            anvil.mine(2)
            anvil.rpc("evm_setAutomine", False)

            def step(intent: str, after: Callable[[], bool]) -> None:
                """The next transaction is on its way, the node dies, it is mined, the node dies again."""
                until(f"{intent} is sent", lambda: int(anvil.rpc("txpool_status")["pending"], 16) == 1)
                node.kill()
                node.start()
                anvil.mine()
                until(f"{intent} had its effect", after)
                node.kill()
                node.start()
                series = [record for record in store.intents.find() if intent in record.key]
                assert [record.key.rsplit(":", 1)[-1] for record in series] == ["0"], series

            step(":constraints:", lambda: arena.verifications() == (1, 0))
            step(":openings 1 to 4:", lambda: arena.verifications() == (1, 1))
            step("prove:", lambda: arena.leaf_state(leaf).open == 0)
            anvil.rpc("evm_setAutomine", True)
            assert arena.deposit(NODE) == KEPT
            assert arena.verifications() == (1, 1)
            # The proof was made once.
            assert len((tmp_path / "proofs.log").read_text().split()) == 1
            assert os.listdir(tmp_path / "data" / "proofs")
            world.pass_time(61)
            until("it settles", lambda: world.status(session_id) == 2, anvil.mine)
            assert world.callbacks(session_id) == 1
    finally:
        node.stop()
