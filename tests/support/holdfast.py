"""A session of Holdfast on the engine, opened as the node opens one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from eth_abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from holdfast.paths import TEMPLATE

from exclave import _engine
from exclave.protocol import init_message, keccak256

SESSION_ID = 1
CHAIN_ID = 0x5_0000_0001
FORD, HIGHLAND, CROSSING = 1, 2, 3


@dataclass
class MatchHost:
    """A match in its session. `blocks` are those that were persisted, in order."""

    url: str
    players: list[LocalAccount]
    engine: _engine.Engine
    blocks: list[_engine.Block]

    @property
    def info(self) -> _engine.SessionInfo:
        info = self.engine.session_info(SESSION_ID)
        assert info is not None
        return info

    @property
    def transaction_count(self) -> int:
        return sum(len(block.transactions) for block in self.blocks)

    @property
    def gas_used(self) -> int:
        return sum(block.gas_used for block in self.blocks)


StartMatch = Callable[..., MatchHost]


def player_accounts(count: int) -> list[LocalAccount]:
    return [Account.from_key(keccak256(b"holdfast player %d" % index)) for index in range(count)]


@contextmanager
def match_host(
    player_count: int = 2,
    *,
    level: int = FORD,
    turn_seconds: int = 600,
    turn_limit: int = 30,
    seconds_to_deadline: int = 86_400,
    seed: bytes = b"seed",
    configuration: bytes = b"config",
) -> Iterator[MatchHost]:
    players = player_accounts(player_count)
    blocks: list[_engine.Block] = []

    def refuse(method: str, params: str) -> str:
        raise _engine.RpcError(-32601, f"the method {method} does not exist")

    engine = _engine.Engine(
        persist=blocks.extend,
        wake=lambda session_id: False,
        call=refuse,
        preconfirmation_key=keccak256(b"operator"),
        l1_chain_id=31_337,
        zk_relayer=bytes(20),
    )
    try:
        template = engine.add_template(TEMPLATE.read_bytes())
        now = int(time.time())
        message = init_message(
            chain_id=CHAIN_ID,
            config_hash=keccak256(configuration),
            session_id=SESSION_ID,
            deadline=now + seconds_to_deadline,
            seed=keccak256(seed),
            players=[bytes.fromhex(player.address[2:]) for player in players],
            init_data=encode(["uint8", "uint32", "uint32"], [level, turn_seconds, turn_limit]),
        )
        engine.open_session(
            SESSION_ID,
            CHAIN_ID,
            template.state_root,
            keccak256(configuration),
            keccak256(seed),
            now,
            message.encode_transaction(),
        )
        engine.activate(SESSION_ID)
        port = engine.serve("127.0.0.1", 0)
        yield MatchHost(f"http://127.0.0.1:{port}/session/{SESSION_ID}", players, engine, blocks)
    finally:
        engine.shutdown()
