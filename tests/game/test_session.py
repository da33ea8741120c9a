"""The seams between game and session: template, stop, store-sync."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils import keccak
from holdfast.abi import abi, artifact
from holdfast.client import Seat, SessionRpc, World, system_id
from holdfast.deploy import DEPLOYER_KEY, build_template, describe_template
from holdfast.paths import GAME, TEMPLATE
from holdfast.play import burner_of, play_match
from holdfast.state import MatchResult
from support.holdfast import CHAIN_ID, CROSSING, MatchHost, StartMatch

from exclave.protocol import decode_template
from exclave.protocol.constants import PREDEPLOY


def submit(host: MatchHost, signer: LocalAccount, to: str, data: bytes, nonce: int = 0) -> bool:
    """Send a transaction; whether it succeeded."""
    signed = signer.sign_transaction(
        {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": nonce,
            "to": to,
            "value": 0,
            "data": data,
            "gas": 2_000_000,
            "maxFeePerGas": 0,
            "maxPriorityFeePerGas": 0,
        }
    )
    host.engine.submit(1, [bytes(signed.raw_transaction)])
    status: bool = host.blocks[-1].transactions[-1][7]
    return status


def test_the_template_is_what_its_record_says() -> None:
    record = artifact("template")
    assert describe_template(TEMPLATE.read_bytes(), record["world"]) == record


def test_the_template_is_bound_to_the_world() -> None:
    accounts = {account.address_hash: account for account in decode_template(TEMPLATE.read_bytes())}
    session = accounts[keccak(PREDEPLOY)]
    slot = dict(session.storage)[keccak((1).to_bytes(32, "big"))]
    assert slot % 2**160 == int(artifact("template")["world"], 16)


def test_nobody_owns_the_world(start_match: StartMatch) -> None:
    """Who deployed it could else change the rules in the middle of a match."""
    host = start_match(2)
    world = artifact("template")["world"]
    deployer = Account.from_key(DEPLOYER_KEY)
    nonce = _nonce(host, deployer.address)
    call = abi("IWorld")["registerSystem"].encode(system_id("TurnSystem"), deployer.address, True)
    assert not submit(host, deployer, world, call, nonce)
    grant = abi("IWorld")["grantAccess"].encode(b"ns" + bytes(30), deployer.address)
    assert not submit(host, deployer, world, grant, nonce + 1)


async def test_a_stopped_match_ranks_who_played(start_match: StartMatch) -> None:
    host = start_match(3, level=CROSSING, seconds_to_deadline=4)
    async with SessionRpc(host.url) as rpc:
        world = await World.find(rpc)
        player = host.players[2]
        seat = Seat(world, player, burner_of(player, world.chain_id))
        await seat.delegate()
        await seat.end_turn()
    anybody = Account.from_key(keccak(b"anybody"))
    stop = keccak(text="stop()")[:4]
    contract = "0x" + PREDEPLOY.hex()
    nonce = 0
    while not submit(host, anybody, contract, stop, nonce):
        nonce += 1
        assert nonce < 100, "the deadline never came"
        await asyncio.sleep(0.2)
    assert host.info.ended and host.info.result is not None
    result = MatchResult.decode(host.info.result)
    assert result.ranking[0].lower() == player.address.lower()
    assert len(set(result.ranking)) == 3


async def test_store_sync_reads_a_session(start_match: StartMatch) -> None:
    host = start_match(2, turn_limit=5)
    await _play_all(host)
    code, synced = await asyncio.to_thread(_sync_check, host.url)
    assert code == 0
    assert synced["differences"] == []
    async with SessionRpc(host.url) as rpc:
        state = await (await World.find(rpc)).state()
    count = {"TerrainRow": 12, "Player": 2, "MatchRanking": 1, "Structure": len(state.structures)}
    count |= {"Unit": len(state.units), "Occupant": len(state.units)}
    assert count["Unit"] >= 2
    assert {table: synced["records"][table] for table in count} == count


async def test_the_sync_check_finds_what_is_missing(start_match: StartMatch) -> None:
    """Logs that a node leaves out are noticed, also of tables that might be empty."""
    host = start_match(2, turn_limit=2)
    await _play_all(host)
    unit_table = "0x" + (b"tb" + bytes(14) + b"Unit".ljust(16, b"\0")).hex()
    with _leaving_out_logs(host.url, unit_table) as url:
        code, synced = await asyncio.to_thread(_sync_check, url)
    assert code == 1
    async with SessionRpc(host.url) as rpc:
        units = (await (await World.find(rpc)).state()).units
    assert synced["differences"] == [f'Unit {{"unitId":{unit.unit_id}}} is missing' for unit in units]


def test_mud_deploy_gives_the_committed_template() -> None:
    """`mud deploy` works against a template-building session, and its sources are those of the committed file."""
    assert shutil.which("npx"), "Node.js is needed"
    data, world = build_template()
    assert world == artifact("template")["world"]
    assert data == TEMPLATE.read_bytes(), "stale: run games/holdfast/scripts/build_template.py"


def _sync_check(url: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of scripts/sync-check.ts."""
    command = ["npx", "tsx", "scripts/sync-check.ts", url]
    done = subprocess.run(command, cwd=GAME, capture_output=True, text=True, timeout=300)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@contextmanager
def _leaving_out_logs(url: str, table: str) -> Iterator[str]:
    """The session at `url`, but `eth_getLogs` keeps the records of a table to itself."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = httpx.post(url, json=body).json()
            if isinstance(body, dict) and body["method"] == "eth_getLogs":
                answer["result"] = [log for log in answer["result"] if table not in log["topics"]]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


async def _play_all(host: MatchHost) -> None:
    async for _ in play_match(host.url, host.players):
        pass


def _nonce(host: MatchHost, address: str) -> int:
    body = {"jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionCount", "params": [address, "latest"]}
    return int(httpx.post(host.url, json=body).json()["result"], 16)
