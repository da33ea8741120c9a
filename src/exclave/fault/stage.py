"""Where a fault is committed: L1, a session of it as a node has it, and the adversary's account."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass

from exclave.challenger.board import DisputeReader
from exclave.challenger.execution import Chain, Executor, InvalidBlock, NotExecutable
from exclave.client import SessionClient
from exclave.client.opening import SessionOpening
from exclave.coordinator.calls import L1SessionStatus, ZkRelayerReader
from exclave.fault.errors import FaultError
from exclave.l1.client import L1Client
from exclave.l1.signers import LocalSigner
from exclave.l1.single import send
from exclave.l1.values import L1Receipt
from exclave.protocol import BlockData, Header, address_of, genesis_header
from exclave.store import Session, Store

MAIN_NETWORK = 1
"""L1's chain id on which nothing may be committed."""


@dataclass
class Stage:
    """All that an adversary needs. `chain` is what was played, executed by the adversary itself."""

    l1: L1Client
    key: bytes
    opening: SessionOpening
    client: SessionClient
    executor: Executor
    chain: Chain
    disputes: DisputeReader
    relayer: ZkRelayerReader

    @property
    def me(self) -> bytes:
        """The adversary's address."""
        return address_of(self.key)

    async def send(self, to: bytes | None, data: bytes, value: int = 0, *, blobs: tuple[bytes, ...] = ()) -> L1Receipt:
        """A transaction of the adversary's. Raises `TransactionFailed`, `L1Error`."""
        return await send(self.l1, LocalSigner(self.key), to, data, value, blobs=blobs)

    async def is_open(self) -> bool:
        """Whether the session is neither settled nor aborted."""
        return await self.relayer.session_status(self.opening.session_id) is L1SessionStatus.OPEN


def refuse_main_network(chain_id: int) -> None:
    """Raises `FaultError` on Ethereum itself, where others' money is."""
    if chain_id == MAIN_NETWORK:
        raise FaultError("L1 is Ethereum's main network (chain id 1): faults are for test networks only")


@contextlib.asynccontextmanager
async def stage(l1: L1Client, key: bytes, rpc: str, session_id: int, zk_relayer: bytes) -> AsyncIterator[Stage]:
    """The session as the node at `rpc` has it, executed again.

    Raises `FaultError`, `ClientError`, `RpcFailure`, `L1Error`.
    """
    refuse_main_network(l1.chain_id)
    client = SessionClient.connect(rpc, session_id, zk_relayer=zk_relayer, l1_chain_id=l1.chain_id)
    opening = client.opening
    await opening.check_on_l1(l1)
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="exclave-fault-"))
        store = stack.enter_context(Store(f"sqlite:///{directory}/fault.db"))
        store.migrate()
        executor = Executor(store, l1.chain_id, zk_relayer)
        stack.callback(executor.shutdown)
        state_root = store.templates.state_root(executor.add_template(client.template()))
        assert state_root is not None, "it was just added"
        session = _session(opening, state_root)
        blocks = [BlockData(Header.decode(block.header).timestamp, block.transactions) for block in client.blocks()]
        try:
            chain = executor.extend(executor.begin(session), blocks)
        except (InvalidBlock, NotExecutable) as error:
            raise FaultError(f"what the node has of session {session_id} isn't valid: {error}") from error
        disputes = DisputeReader(l1, opening.terms.dispute_game)
        yield Stage(l1, key, opening, client, executor, chain, disputes, ZkRelayerReader(l1, zk_relayer))


def _session(opening: SessionOpening, state_root: bytes) -> Session:
    config = opening.config
    genesis = genesis_header(
        state_root, opening.config_hash(), opening.seed, config.opened_at, opening.init_message().hash()
    )
    return Session(
        session_id=opening.session_id,
        chain_id=opening.chain_id,
        config_hash=opening.config_hash(),
        template_id=config.template_id,
        game=config.game,
        opened_at=config.opened_at,
        opened_block=config.opened_block,
        deadline=config.deadline,
        players=opening.players,
        init_data=opening.init_data,
        terms=opening.terms.encode(),
        seed=opening.seed,
        genesis_hash=genesis.hash(),
    )
