"""Which sessions are served: an opener chooses the terms, and the node's deposit is at stake under them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support.chain import session as make_session
from support.running import running_node
from support.world import World

from exclave.config import AcceptConfig
from exclave.node.acceptance import AcceptancePolicy
from exclave.protocol import DataMode, Terms
from exclave.store import JobState, SessionStatus

OPERATOR = b"\x0e" * 20
STRANGER = b"\x66" * 20


def policy(**changes: Any) -> AcceptancePolicy:
    return AcceptancePolicy.of(AcceptConfig.model_validate(changes), OPERATOR)


def refusal(changed: AcceptancePolicy, **changes: Any) -> str | None:
    """Why a session with the default terms but for `changes` is refused."""
    terms = dataclasses.replace(policy().default_terms(), **changes)
    return changed.refusal(make_session(1, terms=terms.encode()))


def test_the_default_terms_are_accepted_whatever_the_policy_is() -> None:
    strict = policy(
        max_claim_bond_ether="0.001",
        max_callback_gas=60_000,
        max_challenge_window=600,
        min_inclusion_delay=7200,
        data_modes=["on-demand"],
        dispute_games=["0x" + "12" * 20],
        verifiers=["0x" + "13" * 20],
        programs=["0x" + "14" * 32],
    )
    for accepting in (policy(), strict):
        found = make_session(1, terms=accepting.default_terms().encode())
        assert accepting.refusal(found) is None
    assert strict.default_terms() == Terms(
        OPERATOR,
        b"\x12" * 20,
        b"\x13" * 20,
        b"\x14" * 32,
        10**15,
        600,
        7200,
        600 + 6 * 3600,
        60_000,
        DataMode.ON_DEMAND,
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"operator": STRANGER}, "its operator is 0x6666"),
        (
            {"claim_bond": 5 * 10**16 + 1},
            "claim bond is 50000000000000001 wei, this node locks at most 50000000000000000",
        ),
        ({"callback_gas": 500_001}, "callback gas is 500001"),
        ({"challenge_window": 86_401}, "challenge window is 86401 s"),
        ({"inclusion_delay": 59}, "inclusion delay is 59 s"),
        ({"dispute_game": STRANGER}, "dispute contract 0x6666"),
        ({"verifier": STRANGER}, "verifier 0x6666"),
        ({"program_id": b"\x66" * 32}, "program 0x6666"),
    ],
)
def test_invariant_i3_terms_that_put_more_at_stake_are_refused(changes: dict[str, Any], reason: str) -> None:
    assert reason in (refusal(policy(), **changes) or "")


def test_games_templates_and_data_modes_can_be_limited() -> None:
    found = make_session(1, terms=policy().default_terms().encode())
    for limited, reason in (
        (policy(games=["0x" + "66" * 20]), "its game 0x1111"),
        (policy(templates=["0x" + "66" * 32]), f"its template 0x{found.template_id.hex()}"),
        (policy(data_modes=["calldata"]), "its data mode is blob"),
    ):
        assert reason in (limited.refusal(found) or "")
    assert policy(games=["0x" + "11" * 20]).refusal(found) is None
    local = dataclasses.replace(found, status=SessionStatus.LOCAL)
    assert policy(games=["0x" + "66" * 20]).refusal(local) is None


async def test_invariant_i3_a_session_under_a_hostile_dispute_contract_is_never_claimed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        hostile = world.open_session(target=1, terms=world.terms(dispute_game=STRANGER, claim_bond=10**18))
        honest = world.open_session(target=1)
        await node.opened(honest)
        answer = await node.rpc("zkcop_getSession", hostile)
        assert answer["status"] == "unsupported"
        assert "its claim bond is 1000000000000000000 wei" in answer["reason"]
        refused = await node.raw_rpc("eth_blockNumber", path=f"/session/{hostile}")
        assert "isn't served here: its claim bond" in refused["error"]["message"]
        await node.play(honest, 1)
        await node.claimed(honest)
        assert world.claims_on_l1() == 1
        stored = node.node.store.sessions.get(hostile)
        assert stored is not None and stored.genesis_hash is None and "bond" in (stored.refusal or "")


async def test_invariant_i3_terms_are_looked_at_again_before_a_claim(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch, coordinator={"batch_delay": 3600}) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        await node.play(session_id, 1)
        await node.until("the job is there", lambda: node.node.store.jobs.of_session(session_id))
    async with running_node(world, tmp_path, monkeypatch, accept={"max_claim_bond_ether": "0.0001"}) as node:

        def failed() -> bool:
            return node.node.store.jobs.of_session(session_id)[0].state is JobState.FAILED

        await node.until("the claim is refused", failed)
        answer = await node.rpc("zkcop_getSession", session_id)
        assert "this node locks at most 100000000000000" in answer["problem"]
        assert world.claims_on_l1() == 0
    async with running_node(world, tmp_path, monkeypatch) as node:
        assert node.node.store.jobs.retry(session_id) == 1
        await node.claimed(session_id)
        assert (await node.rpc("zkcop_getSession", session_id))["problem"] is None
