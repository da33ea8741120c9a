"""Matches from opening to settlement through a whole node on a real L1."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.running import running_node
from support.world import World

from exclave.protocol import DataMode


@pytest.mark.parametrize("mode", list(DataMode))
async def test_a_match_is_settled_in_each_data_mode(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: DataMode
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=3, terms=world.terms(mode))
        await node.opened(session_id)
        await node.play(session_id, 2)
        await node.play(session_id, 1, player=1)
        claim_id = await node.claimed(session_id)
        assert world.status(session_id) == 1  # the window is open
        await node.settled(session_id)
        assert world.callbacks(session_id) == 1
        assert world.result_on_l1(session_id)[:32] == (3).to_bytes(32, "big")
        assert world.claims_on_l1() == 1
        await node.bond_released(claim_id)
