"""A player's client against a whole node."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.disputes import RULES, Arena
from support.running import RunningNode, running_node
from support.world import OPERATOR_KEY, PLAYERS, World, call_data, raw_address

from exclave.client import (
    ClientError,
    Equivocation,
    NotSigned,
    SessionClient,
    SignedResult,
    WrongSession,
    read_log,
    sign_result,
    write_log,
)
from exclave.client.log import LoggedBlock, replay
from exclave.client.results import settlement_of
from exclave.dispute.payloads import SignedBlock
from exclave.l1.client import L1Client
from exclave.l1.signers import LocalSigner
from exclave.l1.single import send
from exclave.protocol import address_of, preconfirmation_digest, sign_digest


async def connected(node: RunningNode, session_id: int, keep: Path | None = None) -> SessionClient:
    relayer = node.world.zk_relayer
    url = f"http://127.0.0.1:{node.node.port}"
    return await asyncio.to_thread(
        SessionClient.connect, url, session_id, zk_relayer=relayer, l1_chain_id=31337, keep=keep
    )


async def play(client: SessionClient, world: World, moves: int, first_nonce: int = 0) -> None:
    for nonce in range(first_nonce, first_nonce + moves):
        receipt = await asyncio.to_thread(client.send, world.increment(client.opening.session_id, PLAYERS[0], nonce))
        assert receipt.success and receipt.signed.number == receipt.block_number


async def test_a_bot_plays_keeps_signatures_and_exports_a_log_that_can_be_replayed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=3)
        await node.opened(session_id)
        keep = tmp_path / "signatures"
        client = await connected(node, session_id, keep)
        async with L1Client([world.anvil.url], 31337) as l1:
            await client.opening.check_on_l1(l1)
            lie = dataclasses.replace(client.opening, seed=bytes(32))
            with pytest.raises(WrongSession, match="seed"):
                await lie.check_on_l1(l1)
        await play(client, world, 2)
        assert await asyncio.to_thread(client.nonce, raw_address(PLAYERS[0])) == 2
        # What was kept is there for the next process, but for a line that was cut off.
        with keep.open("a") as file:
            file.write('{"sess')
        again = await connected(node, session_id, keep)
        assert again.signed == client.signed and len(again.signed) == 2
        await play(again, world, 1, 2)
        for path in (tmp_path / "log.jsonl", tmp_path / "log.jsonl.gz"):
            blocks = await asyncio.to_thread(again.export, path)
            opening, logged = read_log(path)
            assert opening == again.opening
            with replay(opening, world.template.data) as session:
                for block in logged:
                    session.check(block)
                assert session.number == blocks
                assert session.result is not None and session.result[:32] == (3).to_bytes(32, "big")
        assert len(again.signed) == blocks


async def test_a_log_with_a_lie_in_it_is_refused(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=3)
        await node.opened(session_id)
        client = await connected(node, session_id)
        await play(client, world, 3)
        blocks = await asyncio.to_thread(lambda: list(client.blocks()))
        path = tmp_path / "log.jsonl"

        def write(changed: list[LoggedBlock]) -> None:
            write_log(path, client.opening, world.template.data, changed)

        last = blocks[-1]
        other = dataclasses.replace(last, preconfirmation=blocks[0].preconfirmation)
        with pytest.raises(NotSigned):
            write([*blocks[:-1], other])
        with pytest.raises(WrongSession, match="comes something else"):
            write(blocks[1:])
        # The operator signs a block that his transactions don't give.
        with pytest.raises(WrongSession):
            write([*blocks[:-1], dataclasses.replace(last, transactions=last.transactions[:-1])])
        with pytest.raises(WrongSession, match="template"):
            write_log(path, client.opening, await asyncio.to_thread(_base_template), blocks)
        assert await asyncio.to_thread(lambda: list(tmp_path.glob("log*"))) == []
        write(blocks)
        path.write_text(path.read_text().replace('"deadline":"0x', '"deadline":"0x1'))
        with pytest.raises(WrongSession, match="configHash"):
            read_log(path)
        path.with_suffix(".gz").write_bytes(gzip.compress(b"{}\n")[:-9])
        with pytest.raises(WrongSession):
            read_log(path.with_suffix(".gz"))


async def test_two_signatures_for_one_block_are_evidence_and_are_kept(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=3)
        await node.opened(session_id)
        keep = tmp_path / "signatures"
        # The operator had promised another block 1 than the one he makes now.
        digest = preconfirmation_digest(31337, world.zk_relayer, session_id, 1, bytes(32))
        promise = {
            "sessionId": session_id,
            "number": 1,
            "blockHash": "0x" + bytes(32).hex(),
            "signature": "0x" + sign_digest(digest, OPERATOR_KEY).hex(),
        }
        keep.write_text(json.dumps(promise) + "\n")
        client = await connected(node, session_id, keep)
        with pytest.raises(Equivocation) as caught:
            await asyncio.to_thread(client.export, tmp_path / "log.jsonl")
        evidence = (caught.value.one, caught.value.other)
        assert all(isinstance(signed, SignedBlock) and signed.number == 1 for signed in evidence)
        assert len(keep.read_text().splitlines()) == 2
        # Whoever starts again hears of it at once.
        with pytest.raises(Equivocation):
            await connected(node, session_id, keep)


async def test_a_player_reports_two_signatures_and_the_operator_loses_his_stake(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    exclave: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """INVARIANT I3: what isn't burnt of the stake is the reporter's, to the wei."""
    arena = Arena.create(world)
    stakes = bytes.fromhex(world.view(arena.game, "stakes()", ["address"])[2:])
    operator, player = address_of(OPERATOR_KEY), raw_address(PLAYERS[0])
    for address in (operator, player):
        world.anvil.set_balance("0x" + address.hex(), 10**18)
    async with L1Client([world.anvil.url], 31337) as l1:
        deposit = call_data("depositStake()")
        await send(l1, LocalSigner(OPERATOR_KEY), stakes, deposit, RULES.operator_stake)
    async with running_node(world, tmp_path, monkeypatch, accept=arena.accept) as node:
        session_id = world.open_session(target=3, terms=arena.terms())
        await node.opened(session_id)
        keep = tmp_path / "signatures"

        def sign(block_hash: bytes) -> str:
            digest = preconfirmation_digest(31337, world.zk_relayer, session_id, 1, block_hash)
            signed = {"sessionId": session_id, "number": 1, "blockHash": "0x" + block_hash.hex()}
            return json.dumps({**signed, "signature": "0x" + sign_digest(digest, OPERATOR_KEY).hex()}) + "\n"

        def run(code: int = 0) -> subprocess.CompletedProcess[str]:
            url = f"http://127.0.0.1:{node.node.port}"
            keys = {"EXCLAVE_PLAYER_KEY": PLAYERS[0].key.to_0x_hex(), "EXCLAVE_L1_URL": world.anvil.url}
            command = ["player", "report-equivocation", str(session_id), "--signatures", str(keep), "--rpc", url]
            return exclave(*command, code=code, **keys)

        keep.write_text(sign(bytes(32)))
        assert "no two signatures" in (await asyncio.to_thread(run, 1)).stderr
        keep.write_text(sign(bytes(32)) + sign(bytes([1]) * 32))
        await asyncio.to_thread(run)
        burnt = RULES.operator_stake * RULES.burnt_share // 10_000
        for address, wei in ((player, RULES.operator_stake - burnt), (bytes(20), burnt), (operator, 0)):
            assert world.view(stakes, "bondAccount(address)", ["uint256", "uint256"], address) == wei
        assert world.view(stakes, "stakeOf(address)", ["uint256", "uint256", "uint256"], operator) == 0
        assert world.anvil.balance("0x" + stakes.hex()) == RULES.operator_stake
        again = (await asyncio.to_thread(run, 1)).stderr
        assert "error" in again and "Traceback" not in again


async def test_a_forced_transaction_is_in_the_session(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        client = await connected(node, session_id)
        world.anvil.set_balance(PLAYERS[1].address, 10**18)
        async with L1Client([world.anvil.url], 31337) as l1:
            move = call_data("increment(uint256)", 1)
            await client.force(l1, LocalSigner(bytes(PLAYERS[1].key)), world.template.game, move)

        def ended() -> bool:
            head = node.node.store.blocks.head(session_id)
            return head is not None and head.result is not None

        await node.until("it is included", ended)
        await node.claimed(session_id)
        await node.settled(session_id)


async def test_players_settle_by_their_signatures(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch, coordinator={"batch_delay": 3600}) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        client = await connected(node, session_id)
        result = (7).to_bytes(32, "big")
        until = world.now() + 600
        signed = [sign_result(client.opening, result, until, bytes(player.key)) for player in PLAYERS[:2]]
        assert [SignedResult.from_json(entry.to_json()) for entry in signed] == signed
        with pytest.raises(ClientError, match="isn't a player"):
            sign_result(client.opening, result, until, bytes(PLAYERS[2].key))
        with pytest.raises(ClientError, match="haven't signed"):
            settlement_of(client.opening, signed[:1])
        with pytest.raises(ClientError, match="different"):
            settlement_of(client.opening, [signed[0], dataclasses.replace(signed[1], result=b"mine")])
        for text in ("", "[]", "{}", '{"sessionId": "x"}'):
            with pytest.raises(ClientError):
                SignedResult.from_json(text)
        world.anvil.set_balance(PLAYERS[0].address, 10**18)
        async with L1Client([world.anvil.url], 31337) as l1:
            signer = LocalSigner(bytes(PLAYERS[0].key))
            await send(l1, signer, world.zk_relayer, settlement_of(client.opening, signed))
        assert world.status(session_id) == 2 and world.result_on_l1(session_id) == result


def _base_template() -> bytes:
    from exclave.node.templates import build_base_template

    return build_base_template()
