"""A challenge answered by a real proof, which the real contracts verify."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest
from support.anvil import Anvil, account
from support.disputes import KEPT, RULES, Arena
from support.running import SIGNER, running_node
from support.world import OPERATOR_KEY, GameTemplate, World, raw_address

from exclave.l1.client import L1Client
from exclave.l1.signers import LocalSigner
from exclave.l1.single import send
from exclave.l1.values import L1Receipt
from exclave.protocol import address_of
from exclave.prover.onchain import deploy_verifier

NODE = raw_address(account(SIGNER))


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_a_challenge_is_answered_by_a_real_proof(
    anvil: Anvil, template: GameTemplate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World.create(anvil, template, address_of(OPERATOR_KEY))
    signer = LocalSigner(bytes(account(7).key))
    async with L1Client([anvil.url], anvil.chain_id) as l1:

        async def transact(_: str, to: bytes | None, data: bytes) -> L1Receipt:
            return await send(l1, signer, to, data)

        verifier = (await deploy_verifier(transact)).zk_verifier
    rules = dataclasses.replace(RULES, proof_window=6000)
    arena = dataclasses.replace(Arena.create(world, rules), verifier=verifier)
    terms = arena.terms(abort_delay=6 * 3600)
    async with running_node(world, tmp_path, monkeypatch, accept=arena.accept) as node:
        session_id = world.open_session(target=2, terms=terms)
        await node.opened(session_id)
        await node.play(session_id, 2)
        leaf = arena.leaf(node.node.store, await node.claimed(session_id))
        arena.challenge(leaf, 2)
        anvil.mine(2)
        for _ in range(1500):
            if arena.leaf_state(leaf).open == 0:
                break
            await asyncio.sleep(1)
        assert arena.leaf_state(leaf).open == 0 and not arena.leaf_state(leaf).held
        assert arena.deposit(NODE) == KEPT
        sent = {record.key.split(":")[0] for record in node.node.store.intents.find()}
        assert {"verify", "prove"} <= sent
        await node.settled(session_id)
        assert world.callbacks(session_id) == 1
