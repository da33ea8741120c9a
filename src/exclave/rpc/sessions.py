"""`zkcop_*` methods about sessions."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Protocol

from pydantic import Field
from sqlalchemy import Connection, LargeBinary, func, literal, select

from exclave.node.acceptance import data_mode_name
from exclave.protocol import Terms, keccak256
from exclave.protocol import players_hash as hash_players
from exclave.rpc.errors import ResourceNotFound
from exclave.rpc.registry import Registry
from exclave.rpc.values import Address, Answer, Data, Hash32, Quantity, Uint63
from exclave.store import Head, Job, JobState, Session, SessionStatus, Store, schema

MAX_PAGE = 500
MAX_RAW_BYTES = 4 << 20
"""Of blocks in one answer of `zkcop_getRawBlocks`, if it has more than one."""
MAX_PLAYERS = 16
"""Of a session; L1 allows no more (docs/protocol.md 10)."""

PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE)]


class PublicStatus(StrEnum):
    """What a session is doing."""

    LOCAL = "local"
    UNSUPPORTED = "unsupported"
    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    CLAIMED = "claimed"
    SETTLED = "settled"
    ABORTED = "aborted"
    REORGED = "reorged"


class TermsAnswer(Answer):
    """A session's terms: amounts in wei, times in seconds, gas in gas."""

    operator: Address
    dispute_game: Address
    verifier: Address
    program_id: Hash32
    claim_bond: Quantity
    challenge_window: Quantity
    inclusion_delay: Quantity
    abort_delay: Quantity
    callback_gas: Quantity
    data_mode: str

    @classmethod
    def of(cls, terms: Terms) -> TermsAnswer:
        return cls(
            operator=terms.operator,
            dispute_game=terms.dispute_game,
            verifier=terms.verifier,
            program_id=terms.program_id,
            claim_bond=terms.claim_bond,
            challenge_window=terms.challenge_window,
            inclusion_delay=terms.inclusion_delay,
            abort_delay=terms.abort_delay,
            callback_gas=terms.callback_gas,
            data_mode=data_mode_name(terms.data_mode),
        )


class L1Transactions(Answer):
    """The L1 transactions of a session, as far as there are any."""

    open_tx_hash: Hash32 | None = None
    claim_tx_hash: Hash32 | None = None
    settle_tx_hash: Hash32 | None = None


class SessionSummary(Answer):
    """A session in a list."""

    session_id: Quantity
    chain_id: Quantity
    status: PublicStatus
    game: Address
    opened_at: Quantity
    deadline: Quantity
    block_number: Quantity
    path: str
    url: str


class SessionAnswer(SessionSummary):
    """All that the node knows of a session. `reason` says why it isn't served, if it isn't; `problem` what went wrong
    with its claim or settlement, until that is done.
    """

    reason: str | None
    problem: str | None
    config_hash: Hash32
    template_id: Hash32
    players: list[Address]
    players_hash: Hash32
    init_data: Data
    terms: TermsAnswer
    terms_hash: Hash32
    opened_block: Quantity
    seed: Hash32 | None
    genesis_hash: Hash32 | None
    block_hash: Hash32 | None
    block_timestamp: Quantity
    inbox_count: Quantity
    result: Data | None
    result_hash: Hash32 | None
    settled_block: Quantity | None
    l1_transactions: L1Transactions


class PreconfirmationAnswer(Answer):
    """The operator's promise about a block: EIP-712 `Preconfirmation`, 65 bytes r, s, v."""

    session_id: Quantity
    number: Quantity
    block_hash: Hash32
    signature: Data


class RawBlock(Answer):
    """A block as it was hashed and signed: RLP of its header, its transactions in EIP-2718 encoding, the operator's
    preconfirmation.
    """

    number: Quantity
    hash: Hash32
    header: Data
    transactions: list[Data]
    preconfirmation: Data


class SessionSupport(Protocol):
    """Why a session isn't served by this node; None when it is."""

    def unsupported_reason(self, session: Session) -> str | None: ...


class SessionMethods:
    """Reads of sessions from the store."""

    def __init__(self, store: Store, support: SessionSupport, public_url: Callable[[], str]) -> None:
        """`public_url` is that of `/`."""
        self._store = store
        self._support = support
        self._public_url = public_url

    def register(self, registry: Registry) -> None:
        registry.register("zkcop_getSession", self.get_session, ResourceNotFound)
        registry.register("zkcop_listSessions", self.list_sessions)
        registry.register("zkcop_getSessionsByGame", self.get_sessions_by_game)
        registry.register("zkcop_getPreconfirmation", self.get_preconfirmation, ResourceNotFound)
        registry.register("zkcop_getRawBlocks", self.get_raw_blocks, ResourceNotFound)

    def get_session(self, session_id: Uint63) -> SessionAnswer:
        """One session: configuration, terms, status, last block, result, and its L1 transactions."""
        session = self._store.sessions.get(session_id)
        if session is None:
            raise ResourceNotFound(f"no session {session_id}")
        head = self._store.blocks.head(session_id)
        jobs = self._store.jobs.of_session(session_id)
        terms = Terms.decode(session.terms)
        reason = self._support.unsupported_reason(session)
        status = public_status(session, head.result is not None if head else False, jobs, reason)
        result = session.result if session.result is not None else head.result if head else None
        last = jobs[-1] if jobs else None
        return SessionAnswer(
            **self._summary(session, head.number if head else 0, status),
            reason=reason,
            problem=next((job.error for job in jobs if job.error), None),
            config_hash=session.config_hash,
            template_id=session.template_id,
            players=list(session.players),
            players_hash=hash_players(session.players),
            init_data=session.init_data,
            terms=TermsAnswer.of(terms),
            terms_hash=terms.hash(),
            opened_block=session.opened_block,
            seed=session.seed,
            genesis_hash=session.genesis_hash,
            block_hash=head.hash if head else session.genesis_hash,
            block_timestamp=head.timestamp if head else session.opened_at,
            inbox_count=head.inbox_count if head else 0,
            result=result,
            result_hash=None if result is None else keccak256(result),
            settled_block=session.settled_block,
            l1_transactions=L1Transactions(
                open_tx_hash=session.l1_transaction_hash,
                claim_tx_hash=last.claim_transaction if last else None,
                settle_tx_hash=last.settle_transaction if last else None,
            ),
        )

    def list_sessions(
        self,
        status: SessionStatus | None = None,
        game: Address | None = None,
        player: Address | None = None,
        after: Uint63 = 0,
        limit: PageSize = 100,
    ) -> list[SessionSummary]:
        """Sessions with ids above `after`, in order of id, filtered by stored status, game contract and player."""

        def work(tx: Connection) -> list[tuple[Session, Head | None, list[Job]]]:
            table = schema.sessions
            query = (
                select(table.c.session_id).where(table.c.session_id > after).order_by(table.c.session_id).limit(limit)
            )
            if status is not None:
                query = query.where(table.c.status == status)
            if game is not None:
                query = query.where(table.c.game == game)
            if player is not None:
                # Addresses laid end to end, each compared where it can be.
                seats = [func.substr(table.c.players, 1 + 20 * seat, 20) for seat in range(MAX_PLAYERS)]
                query = query.where(literal(player, LargeBinary).in_(seats))
            found = []
            for session_id in tx.scalars(query).all():
                session = self._store.sessions.get(session_id, connection=tx)
                assert session is not None, "it was found in this snapshot"
                head = self._store.blocks.head(session_id, connection=tx)
                found.append((session, head, self._store.jobs.of_session(session_id, connection=tx)))
            return found

        # The connection is given back first: whether a session is served may take one of its own, and waiting for a
        # second while holding one is how a pool locks up.
        return [
            SessionSummary(
                **self._summary(
                    session,
                    head.number if head else 0,
                    public_status(
                        session, bool(head and head.result is not None), jobs, self._support.unsupported_reason(session)
                    ),
                )
            )
            for session, head, jobs in self._store.read(work)
        ]

    def get_sessions_by_game(self, game: Address, after: Uint63 = 0, limit: PageSize = 100) -> list[SessionSummary]:
        """The sessions that an L1 game contract opened, in order of id."""
        return self.list_sessions(game=game, after=after, limit=limit)

    def get_preconfirmation(self, session_id: Uint63, block_number: Uint63) -> PreconfirmationAnswer:
        """The operator's signature over a block's hash."""
        signature = self._store.blocks.preconfirmation(session_id, block_number)
        hashes = self._store.blocks.hashes(session_id, block_number, block_number)
        if signature is None or not hashes:
            raise ResourceNotFound(f"session {session_id} has no block {block_number} with a preconfirmation")
        return PreconfirmationAnswer(
            session_id=session_id, number=block_number, block_hash=hashes[0], signature=signature
        )

    def get_raw_blocks(self, session_id: Uint63, first: Uint63 = 1, limit: PageSize = 100) -> list[RawBlock]:
        """Blocks from `first` on with all that is needed to execute them again; fewer where they are large."""
        if self._store.sessions.get(session_id) is None:
            raise ResourceNotFound(f"no session {session_id}")
        found: list[RawBlock] = []
        size = 0
        for block in self._store.blocks.load(session_id, first, first + limit - 1, page=16):
            size += len(block.header) + sum(len(transaction) for transaction in block.transactions)
            if found and size > MAX_RAW_BYTES:
                break
            found.append(
                RawBlock(
                    number=block.number,
                    hash=block.hash,
                    header=block.header,
                    transactions=list(block.transactions),
                    preconfirmation=block.preconfirmation,
                )
            )
        return found

    def _summary(self, session: Session, number: int, status: PublicStatus) -> dict[str, Any]:
        path = f"/session/{session.session_id}"
        return {
            "session_id": session.session_id,
            "chain_id": session.chain_id,
            "status": status,
            "game": session.game,
            "opened_at": session.opened_at,
            "deadline": session.deadline,
            "block_number": number,
            "path": path,
            "url": self._public_url().rstrip("/") + path,
        }


def public_status(session: Session, ended: bool, jobs: list[Job], unsupported: str | None) -> PublicStatus:
    """A session's status as its players see it."""
    if session.status is not SessionStatus.OPEN:
        return PublicStatus(session.status.value)
    if unsupported is not None:
        return PublicStatus.UNSUPPORTED
    if session.genesis_hash is None:
        return PublicStatus.PENDING
    if not ended:
        return PublicStatus.RUNNING
    if jobs and jobs[-1].state in (JobState.CLAIMED, JobState.SETTLEABLE):
        return PublicStatus.CLAIMED
    return PublicStatus.ENDED
