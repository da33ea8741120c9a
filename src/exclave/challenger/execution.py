"""Sessions executed again from what claims publish: by the engine, from block 0 on."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from exclave import _engine
from exclave.protocol import (
    BlockData,
    Header,
    SessionClaim,
    block_hashes_root,
    decode_template,
)
from exclave.protocol.constants import ZERO_HASH
from exclave.protocol.errors import ProtocolError
from exclave.prover import ProofRequest
from exclave.prover.replay import PUBLIC_RECOVERIES, open_session, silent_engine
from exclave.store import Session, Store, Template


class NotExecutable(Exception):
    """A session can't be executed here: its template isn't known, or its seed isn't yet. The text says which."""


class InvalidBlock(Exception):
    """Transactions and a time that make no valid block. `chain` is the session up to the block before."""

    def __init__(self, number: int, reason: str, chain: Chain) -> None:
        self.number = number
        self.chain = chain
        super().__init__(f"block {number}: {reason}")


@dataclass(frozen=True, slots=True)
class ExecutedBlock:
    """A block of a session, from 1 on. `timestamp` in seconds; `header` is RLP; `inbox_count` forced messages were
    consumed up to it; `result_hash` is zero unless the session has ended.
    """

    number: int
    hash: bytes
    header: bytes
    timestamp: int
    transactions: tuple[bytes, ...]
    inbox_count: int
    inbox_hash: bytes
    result_hash: bytes


@dataclass(frozen=True, slots=True)
class Chain:
    """A session from block 0 on, each block a valid child of the one before."""

    session: Session
    genesis_hash: bytes
    blocks: tuple[ExecutedBlock, ...] = ()

    @property
    def last_number(self) -> int:
        return len(self.blocks)

    @property
    def ended(self) -> bool:
        """Whether no further block can be valid."""
        return bool(self.blocks) and self.blocks[-1].result_hash != ZERO_HASH

    def hash_of(self, number: int) -> bytes | None:
        """A block's hash, None beyond the last."""
        if number > len(self.blocks):
            return None
        return self.blocks[number - 1].hash if number else self.genesis_hash

    def hashes(self, first: int, last: int) -> list[bytes]:
        """The hashes of blocks `first` to `last`, which must be there."""
        return [*([] if first else [self.genesis_hash]), *(b.hash for b in self.blocks[max(first - 1, 0) : last])]

    def cut(self, last: int) -> Chain:
        """The chain up to block `last`."""
        return dataclasses.replace(self, blocks=self.blocks[:last])

    def claim(self, first: int, last: int) -> SessionClaim:
        """What a right claim says of blocks `first` to `last`; `last` is at least 1."""
        tail, seed = self.blocks[last - 1], self.session.seed
        assert seed is not None, "it was executed"
        return SessionClaim(
            session_id=self.session.session_id,
            config_hash=self.session.config_hash,
            seed=seed,
            first_number=first,
            last_number=last,
            last_timestamp=tail.timestamp,
            last_hash=tail.hash,
            block_hashes_root=block_hashes_root(self.hashes(first, last)),
            result_hash=tail.result_hash,
            inbox_count=tail.inbox_count,
            inbox_hash=tail.inbox_hash,
        )


class Executor:
    """An engine in which sessions are executed and never played, each by one thread at a time. Its methods block: call
    them in a thread. `shutdown` ends it.
    """

    def __init__(self, store: Store, l1_chain_id: int, zk_relayer: bytes) -> None:
        self._store = store
        self._l1_chain_id = l1_chain_id
        self._zk_relayer = zk_relayer
        self._guard = threading.Lock()
        self._turns: dict[int, threading.Lock] = {}
        self._stopping = False
        self._templates: dict[bytes, bytes] = {}
        self._engine = silent_engine(l1_chain_id, zk_relayer)

    def stop(self) -> None:
        """Let what is being executed end with its next block: it raises `NotExecutable`."""
        self._stopping = True

    def shutdown(self) -> None:
        """Stop the engine's threads."""
        self.stop()
        self._engine.shutdown()

    def add_template(self, data: bytes) -> bytes:
        """Check a template's file and keep it in the database; returns its id.

        Raises `ProtocolError` or `exclave._engine.TemplateError` when it isn't one.
        """
        decode_template(data)
        added = self._engine.add_template(data)
        self._store.templates.put(Template(added.template_id, added.state_root, added.data_hash, data))
        self._templates[added.template_id] = added.state_root
        return added.template_id

    def begin(self, session: Session) -> Chain:
        """A session's block 0. Raises `NotExecutable`."""
        if self._store.templates.state_root(session.template_id) is None:
            raise NotExecutable(f"the template 0x{session.template_id.hex()} isn't known: give its file (--template)")
        if session.seed is None or session.genesis_hash is None:
            raise NotExecutable(f"the seed of session {session.session_id} isn't known yet")
        return Chain(session, session.genesis_hash)

    def extend(self, chain: Chain, blocks: Sequence[BlockData]) -> Chain:
        """The chain with further blocks. Raises `InvalidBlock` for the first that isn't valid."""
        made = list(chain.blocks)
        session_id = chain.session.session_id
        with self._loaded(chain):
            for data in blocks:
                if self._stopping:
                    raise NotExecutable("this process is being stopped")
                try:
                    block = self._engine.execute_block(session_id, data.timestamp, list(data.transactions))
                except _engine.EngineError as error:
                    known = dataclasses.replace(chain, blocks=tuple(made))
                    raise InvalidBlock(len(made) + 1, str(error), known) from error
                made.append(_executed(block, data.timestamp, tuple(data.transactions)))
        return dataclasses.replace(chain, blocks=tuple(made))

    def judge(self, chain: Chain, header: bytes, transactions: Sequence[bytes]) -> ExecutedBlock | None:
        """The block after the chain's last that this header and these transactions make, None if it isn't valid."""
        try:
            timestamp = Header.decode(header).timestamp
            longer = self.extend(chain, [BlockData(timestamp, tuple(transactions))])
        except (ProtocolError, InvalidBlock):
            return None
        block = longer.blocks[-1]
        return block if block.header == header else None

    def fault_request(self, chain: Chain, header: bytes, transactions: Sequence[bytes], prover: bytes) -> ProofRequest:
        """What proves the verdict on a block that is claimed to follow the chain's last; `prover` earns by it.

        Raises `exclave._engine.EngineError`.
        """
        with self._loaded(chain):
            return ProofRequest.from_run(
                self._engine.guest_judgement(
                    chain.session.session_id,
                    chain.last_number,
                    header,
                    list(transactions),
                    configuration=self._configuration(chain),
                    prover=prover,
                    public_recoveries=PUBLIC_RECOVERIES,
                )
            )

    def last_request(self, chain: Chain, prover: bytes) -> ProofRequest:
        """What proves the chain's last block. Raises `exclave._engine.EngineError`."""
        with self._loaded(chain):
            return ProofRequest.from_run(
                self._engine.guest_run(
                    chain.session.session_id,
                    chain.last_number - 1,
                    chain.last_number,
                    configuration=self._configuration(chain),
                    prover=prover,
                    public_recoveries=PUBLIC_RECOVERIES,
                )
            )

    def _configuration(self, chain: Chain) -> bytes:
        return chain.session.configuration().preimage(self._l1_chain_id, self._zk_relayer)

    @contextmanager
    def _loaded(self, chain: Chain) -> Iterator[None]:
        """The engine has the session as it is after the chain's last block."""
        session = chain.session
        with self._turn(session.session_id):
            state_root = self._state_root(session.template_id)
            open_session(self._engine, session, session.seed or ZERO_HASH, state_root)
            try:
                for block in chain.blocks:
                    made = self._engine.execute_block(session.session_id, block.timestamp, list(block.transactions))
                    assert made.hash == block.hash, "execution is deterministic"
                yield
            finally:
                self._engine.drop_session(session.session_id)

    def _turn(self, session_id: int) -> threading.Lock:
        """The engine has a session once."""
        with self._guard:
            return self._turns.setdefault(session_id, threading.Lock())

    def _state_root(self, template_id: bytes) -> bytes:
        if template_id not in self._templates:
            template = self._store.templates.get(template_id)
            assert template is not None, "begin() checked it"
            self._engine.add_template(template.data)
            self._templates[template_id] = template.state_root
        return self._templates[template_id]


def _executed(block: _engine.Block, timestamp: int, transactions: tuple[bytes, ...]) -> ExecutedBlock:
    return ExecutedBlock(
        block.number,
        block.hash,
        block.header,
        timestamp,
        transactions,
        block.inbox_count,
        block.inbox_hash,
        block.result_hash,
    )
