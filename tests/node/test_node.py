"""The whole node: restarts, L1's outages and reorgs, a second node, its own JSON-RPC methods."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.anvil import account
from support.running import SIGNER, VARIABLES, make_config, running_node
from support.world import GAME_DEPLOYER, PLAYERS, World, call_data, raw_address, signed_call

from exclave import contracts
from exclave.l1.errors import L1Unavailable
from exclave.l1.transaction_manager import AlertKind
from exclave.node.node import Node, run_node
from exclave.node.supervisor import FatalError
from exclave.protocol import recover_signer
from exclave.protocol.constants import PREDEPLOY
from exclave.protocol.signatures import preconfirmation_digest
from exclave.relayer.relayer import FOLLOWER, Relayer


async def test_restart_at_each_phase(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """INVARIANT I6, I7."""
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=3)
        await node.opened(session_id)
    async with running_node(world, tmp_path, monkeypatch) as node:
        await node.play(session_id, 1)
    async with running_node(world, tmp_path, monkeypatch, coordinator={"batch_delay": 3600}) as node:
        await node.play(session_id, 2, first_nonce=1)
        await node.until("the job is there", lambda: node.node.store.jobs.of_session(session_id))
    async with running_node(world, tmp_path, monkeypatch, l1={"confirmations": 3}) as node:
        await node.until("the claim is recorded", lambda: node.node.store.batches.find(), mining=False)
    async with running_node(world, tmp_path, monkeypatch) as node:
        claim_id = await node.claimed(session_id)
    world.pass_time(61)
    async with running_node(world, tmp_path, monkeypatch) as node:
        await node.settled(session_id)
    async with running_node(world, tmp_path, monkeypatch) as node:
        await node.bond_released(claim_id)
    assert world.claims_on_l1() == 1
    assert world.callbacks(session_id) == 1


async def test_l1_outage_during_play(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    l1 = {"request_timeout": 0.3}
    async with running_node(world, tmp_path, monkeypatch, l1=l1) as node:
        session_id = world.open_session(target=3)
        await node.opened(session_id)
        os.kill(world.anvil.process.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(1)
            await node.play(session_id, 3)  # sessions don't need L1
            await asyncio.sleep(2)
            health = await node.rpc("zkcop_health")
            assert health["status"] == "degraded"
        finally:
            os.kill(world.anvil.process.pid, signal.SIGCONT)
        await node.claimed(session_id)
        await node.settled(session_id)
        assert world.callbacks(session_id) == 1


@pytest.mark.parametrize("phase", ["claim", "settlement"])
async def test_l1_outage_during_claim_and_settlement(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """INVARIANT I7: whatever L1 had taken before it fell silent, each effect is had once."""
    async with running_node(world, tmp_path, monkeypatch, l1={"request_timeout": 0.3}) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        if phase == "settlement":
            await node.play(session_id, 1)
            await node.claimed(session_id)
            world.pass_time(61)
        # At the moment when the manager has signed the transaction and offers it.
        offered = asyncio.Event()
        send_raw = node.node.l1.send_raw

        async def fall_silent(raw: bytes) -> None:
            if not offered.is_set():
                os.kill(world.anvil.process.pid, signal.SIGSTOP)
                offered.set()
            await send_raw(raw)

        monkeypatch.setattr(node.node.l1, "send_raw", fall_silent)
        if phase == "claim":
            await node.play(session_id, 1)
        try:
            async with asyncio.timeout(60):
                await offered.wait()
            await asyncio.sleep(2)
            assert (await node.rpc("zkcop_health"))["status"] == "degraded"
        finally:
            os.kill(world.anvil.process.pid, signal.SIGCONT)
        await node.claimed(session_id)
        await node.settled(session_id)
        assert world.claims_on_l1() == 1
        assert world.callbacks(session_id) == 1


async def test_fee_spike(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above its cap the node waits and says so; meanwhile somebody claims the same root, which changes nothing."""
    async with running_node(world, tmp_path, monkeypatch, fees={"max_fee_gwei": 10}) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        world.anvil.set_next_base_fee(100 * 10**9)
        world.anvil.mine()
        await node.play(session_id, 1)
        batch = (await node.until("the batch is there", node.node.store.batches.find, mining=False))[0]

        def waits() -> bool:
            return any(alert.kind is AlertKind.FEE_CAP for alert in node.node.manager.alerts())

        await node.until("the node says why it waits", waits, mining=False)
        world.claim(batch.claims_root, sender=6, terms=world.terms(challenge_window=3600))
        assert world.claims_on_l1() == 1
        assert await node.claimed(session_id) == 2  # the base fee falls with each empty block
        await node.settled(session_id)
        assert world.callbacks(session_id) == 1


async def test_reorg_of_the_claim(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """INVARIANT I7."""
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        await node.play(session_id, 1)
        await node.claimed(session_id)
        claim = node.node.store.claims.of_session(session_id)[-1]
        world.anvil.reorg(world.anvil.block_number() - claim.l1_block_number + 1)
        assert world.claims_on_l1() == 0
        await node.until("it is claimed again", lambda: world.claims_on_l1() == 1)
        await node.claimed(session_id)
        await node.settled(session_id)
        assert world.claims_on_l1() == 1
        assert world.callbacks(session_id) == 1


async def test_reorg_of_the_settlement(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """INVARIANT I7."""
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        await node.play(session_id, 1)
        await node.claimed(session_id)
        await node.settled(session_id)
        session = node.node.store.sessions.get(session_id)
        assert session is not None and session.settled_block is not None
        world.anvil.reorg(world.anvil.block_number() - session.settled_block + 1)
        assert world.status(session_id) == 1
        await node.until("it is settled again", lambda: world.status(session_id) == 2)
        assert world.callbacks(session_id) == 1


async def test_reorg_of_the_opening(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=5)
        await node.opened(session_id)
        await node.play(session_id, 1)
        session = node.node.store.sessions.get(session_id)
        assert session is not None
        world.anvil.reorg(world.anvil.block_number() - session.opened_block + 1)

        def reorged() -> bool:
            found = node.node.store.sessions.get(session_id)
            return found is not None and found.status == "reorged"

        await node.until("the node notices", reorged)
        answer = await node.raw_rpc("eth_blockNumber", path=f"/session/{session_id}")
        assert "error" in answer
        assert world.open_session(target=1) == session_id
        await node.opened(session_id)
        await node.play(session_id, 1)
        await node.claimed(session_id)
        await node.settled(session_id)


async def test_a_second_node_is_refused(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        with pytest.raises(FatalError, match=f"process {os.getpid()}.*data directory of its own"):
            async with Node(make_config(world, tmp_path)).running():
                pass
        database = {"data_dir": str(tmp_path / "other"), "database_url": f"sqlite:///{tmp_path}/node/exclave.db"}
        with pytest.raises(FatalError, match=r"another node .* uses .*exclave\.db.*its lease is over in"):
            async with Node(make_config(world, tmp_path, node=database)).running():
                pass
        # Nor with other keys: the two would follow L1 with one cursor.
        monkeypatch.setenv("EXCLAVE_OPERATOR_KEY", "0x" + "11" * 32)
        with pytest.raises(FatalError, match=r"another node .* uses .*exclave\.db"):
            async with Node(make_config(world, tmp_path, node=database)).running():
                pass
        # The first one goes on.
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        await node.play(session_id, 1)


async def test_nothing_is_served_before_the_node_agrees_with_l1(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=5)
        await node.opened(session_id)
        await node.play(session_id, 1)
        session = node.node.store.sessions.get(session_id)
        assert session is not None
    # While the node is down, L1 drops the opening, and can't be reached for a while when the node is back.
    world.anvil.reorg(world.anvil.block_number() - session.opened_block + 1)
    world.anvil.mine(3)
    step, steps = Relayer.step, 0

    async def unreachable_at_first(self: Relayer) -> bool:
        nonlocal steps
        steps += 1
        if steps <= 2:
            raise L1Unavailable("eth_blockNumber", {"all": "down"})
        return await step(self)

    monkeypatch.setattr(Relayer, "step", unreachable_at_first)
    async with running_node(world, tmp_path, monkeypatch) as node:
        assert steps > 2
        raw = "0x" + world.increment(session_id, PLAYERS[0], 1).hex()
        answer = await node.raw_rpc("eth_sendRawTransaction", raw, path=f"/session/{session_id}")
        assert "not found" in answer["error"]["message"]
        assert node.node.store.following.cursor(FOLLOWER).number == world.anvil.block_number() - 1


async def test_a_node_that_waits_for_l1_can_be_stopped(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    waiting = asyncio.Event()

    async def unreachable(self: Relayer) -> bool:
        waiting.set()
        raise L1Unavailable("eth_blockNumber", {"all": "down"})

    monkeypatch.setattr(Relayer, "step", unreachable)
    running = asyncio.create_task(run_node(make_config(world, tmp_path)))
    async with asyncio.timeout(60):
        await waiting.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == 0
    # Everything was given back.
    monkeypatch.undo()
    async with running_node(world, tmp_path, monkeypatch):
        pass


async def test_a_low_balance_is_told(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_node(world, tmp_path, monkeypatch, fees={"low_balance_ether": "0.5"}) as node:
        signer = account(SIGNER).address
        world.anvil.set_balance(signer, 4 * 10**17)
        await node.node.balance.look()
        health = await node.rpc("zkcop_health")
        assert health["status"] == "degraded"
        assert [alert["kind"] for alert in health["alerts"]] == ["low balance"]
        assert "has 0.4 ether, below 0.5" in health["alerts"][0]["message"]
        world.anvil.set_balance(signer, 10**18)
        await node.node.balance.look()
        assert (await node.rpc("zkcop_health"))["alerts"] == []


async def test_answers_name_the_public_url(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        local = await node.rpc("zkcop_openTemplateSession")
        assert local["url"] == f"http://127.0.0.1:{node.node.port}{local['path']}"
    async with running_node(world, tmp_path, monkeypatch, node={"public_url": "https://play.example/"}) as node:
        local = await node.rpc("zkcop_openTemplateSession")
        assert local["url"] == "https://play.example" + local["path"]
        listed = await node.rpc("zkcop_listSessions")
        assert listed[-1]["url"] == local["url"]


async def test_wrong_contract_is_refused(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    nothing = make_config(world, tmp_path, l1={"zk_relayer": account(1).address})
    with pytest.raises(FatalError, match="no contract"):
        async with Node(nothing).running():
            pass
    lobby = make_config(world, tmp_path, l1={"zk_relayer": "0x" + world.lobby.hex()})
    with pytest.raises(FatalError, match="not a ZkRelayer"):
        async with Node(lobby).running():
            pass


async def test_a_template_is_built_over_json_rpc(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        local = await node.rpc("zkcop_openTemplateSession")
        chain_id, path = int(local["chainId"], 16), local["path"]
        code = contracts.load("CounterGame").bytecode
        raw = signed_call(GAME_DEPLOYER, chain_id, 0, None, code)
        created = await node.rpc("eth_sendRawTransaction", "0x" + raw.hex(), path=path)
        receipt = await node.rpc("eth_getTransactionReceipt", created, path=path)
        refused = await node.raw_rpc("zkcop_exportTemplate", local["sessionId"])
        assert refused["error"]["code"] == -32602 and "bindGame" in refused["error"]["message"]
        game = bytes.fromhex(receipt["contractAddress"][2:])
        raw = signed_call(GAME_DEPLOYER, chain_id, 1, PREDEPLOY, call_data("bindGame(address)", game))
        await node.rpc("eth_sendRawTransaction", "0x" + raw.hex(), path=path)
        template = await node.rpc("zkcop_exportTemplate", local["sessionId"])
        assert template["templateId"] == "0x" + world.template.template_id.hex()
        assert (await node.rpc("zkcop_getTemplate", template["templateId"]))["data"] == template["data"]
        on_l1 = await node.raw_rpc("zkcop_exportTemplate", 1)
        assert on_l1["error"]["code"] == -32001


async def test_local_sessions_are_off_unless_enabled(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch, node={"local_sessions": False}) as node:
        answer = await node.raw_rpc("zkcop_openTemplateSession")
        assert answer["error"]["code"] == -32004


async def test_methods_answer_as_their_document_says(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=2)
        await node.opened(session_id)
        await node.play(session_id, 2)
        claim_id = await node.claimed(session_id)
        document = await node.rpc("rpc.discover")
        results = {method["name"]: method["result"]["schema"] for method in document["methods"]}
        game = "0x" + world.lobby.hex()
        player = "0x" + raw_address(PLAYERS[0]).hex()
        template_id = "0x" + world.template.template_id.hex()
        keys = [entry["key"] for entry in await node.rpc("zkcop_listL1Transactions")]
        calls: dict[str, list[Any]] = {
            "zkcop_getSession": [session_id],
            "zkcop_listSessions": ["open", game, player, 0, 10],
            "zkcop_getSessionsByGame": [game],
            "zkcop_getPreconfirmation": [session_id, 1],
            "zkcop_batchNumber": [],
            "zkcop_virtualBatchNumber": [],
            "zkcop_verifiedBatchNumber": [],
            "zkcop_getBatchByNumber": [1],
            "zkcop_listBatches": [],
            "zkcop_batchNumberByBlockNumber": [session_id, 1],
            "zkcop_isBlockVirtualized": [session_id, 1],
            "zkcop_isBlockConsolidated": [session_id, 1],
            "zkcop_consolidatedBlockNumber": [session_id],
            "zkcop_getClaim": [claim_id],
            "zkcop_listClaims": [],
            "zkcop_getClaimsBySession": [session_id],
            "zkcop_getClaimProof": [session_id],
            "zkcop_getClaimData": [claim_id],
            "zkcop_listDisputes": [session_id, True],
            "zkcop_getRawBlocks": [session_id],
            "zkcop_listL1Transactions": [],
            "zkcop_getL1Transaction": [keys[0]],
            "zkcop_getL1TransactionsBySession": [session_id],
            "zkcop_getL1TransactionsByClaim": [claim_id],
            "zkcop_listTemplates": [],
            "zkcop_getTemplate": [template_id],
            "zkcop_nodeInfo": [],
            "zkcop_health": [],
            "zkcop_getDefaultTerms": [],
        }
        untested = set(results) - set(calls)
        assert untested == {"rpc.discover", "zkcop_openTemplateSession", "zkcop_exportTemplate"}
        for name, params in calls.items():
            schema = {**results[name], "components": document["components"]}
            jsonschema.Draft202012Validator.check_schema(schema)
            answer = await node.rpc(name, *params)
            jsonschema.Draft202012Validator(schema).validate(answer)
        assert (await node.rpc("zkcop_isBlockVirtualized", session_id, 1)) is True
        assert (await node.rpc("zkcop_isBlockConsolidated", session_id, 1)) is False
        preconfirmation = await node.rpc("zkcop_getPreconfirmation", session_id, 1)
        block_hash, signature = (bytes.fromhex(preconfirmation[name][2:]) for name in ("blockHash", "signature"))
        digest = preconfirmation_digest(31337, world.zk_relayer, session_id, 1, block_hash)
        assert recover_signer(digest, signature) == world.operator
        for name, params, code in (
            ("zkcop_getSession", [10**6], -32001),
            ("zkcop_getSession", ["x"], -32602),
            ("zkcop_getSession", [], -32602),
            ("zkcop_getClaim", [99], -32001),
            ("zkcop_noSuchMethod", [], -32601),
        ):
            assert (await node.raw_rpc(name, *params))["error"]["code"] == code
