"""Whether a claim says what its data gives: every session executed again, the claim's root computed anew."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog
from sqlalchemy import Connection, select

from exclave.challenger.execution import Chain, Executor, InvalidBlock, NotExecutable
from exclave.dispute.payloads import LeafContent
from exclave.protocol import (
    ClaimHeader,
    Message,
    SessionClaim,
    SessionData,
    decode_batch_data,
    merkle_root,
)
from exclave.protocol.constants import ZERO_HASH
from exclave.protocol.errors import ProtocolError
from exclave.store import Claim, Session, SessionStatus, Store, schema
from exclave.store.repository import insert_all_absent

log = structlog.get_logger(__name__)

MAX_ROOTS: Final = 64
"""Combinations of a session's known histories that are tried for one claim."""

KEPT_SESSIONS: Final = 64
"""Sessions whose executed blocks are kept in memory."""


class ClaimVerdict(StrEnum):
    """What a review found."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    PENDING = "pending"  # its sessions are being executed
    MISSING = "missing"  # its data can't be had, or starts where nothing is known
    UNREVIEWABLE = "unreviewable"  # a template isn't known here


@dataclass(frozen=True, slots=True)
class Review:
    """A verdict about a claim. `leaves` are its leaves if it agrees; `chains` the executed sessions, whatever the
    verdict; `suspects` the indices of leaves whose data gives no valid blocks.
    """

    verdict: ClaimVerdict
    reason: str
    leaves: tuple[SessionClaim, ...] = ()
    chains: tuple[Chain, ...] = ()
    suspects: tuple[int, ...] = ()


class Reviewer:
    """Its methods block: call them in a thread. `kept` gives the data of a claim that was read before."""

    def __init__(self, store: Store, executor: Executor, kept: Callable[[Claim], bytes | None]) -> None:
        self._store = store
        self._executor = executor
        self._kept = kept
        self._known: OrderedDict[int, list[Chain]] = OrderedDict()
        self._guard = threading.Lock()
        self._turns: dict[int, threading.RLock] = {}

    # -- claims -----------------------------------------------------------------------------------------------------

    def agreed(self, claim: Claim) -> tuple[SessionClaim, ...] | None:
        """The leaves of a claim with which an earlier review agreed, None for others."""
        leaves = self._store.claims.leaves(claim.claim_id)
        return tuple(SessionClaim.decode(leaf.claim) for leaf in leaves) if len(leaves) == claim.count else None

    def review(self, claim: Claim, data: bytes) -> Review:
        """Executes a claim's data. What agrees is recorded, so that it isn't done again after a restart."""
        header = ClaimHeader.decode(claim.header)
        try:
            entries = decode_batch_data(data)
        except ProtocolError as error:
            return Review(ClaimVerdict.DISAGREES, f"its data can't be read: {error}")
        options: list[list[tuple[Chain, SessionClaim]]] = []
        chains: list[Chain] = []
        suspects: list[int] = []
        reason: str | None = None
        missing: str | None = None
        unknown: str | None = None
        for index, entry in enumerate(entries[: header.count]):
            try:
                executed = self._execute(entry)
            except NotExecutable as error:
                unknown = unknown or str(error)
                continue
            except _NoStart as error:
                missing = missing or str(error)
                continue
            except InvalidBlock as error:
                reason = reason or f"session {entry.session_id}, {error}"
                chains.append(error.chain)
                suspects.append(index)
                continue
            except _NoSession as error:
                reason = reason or str(error)
                suspects.append(index)
                continue
            chains += executed
            options.append([(chain, chain.claim(entry.first_number, chain.last_number)) for chain in executed])
        if reason is None and len(entries) != header.count:
            reason = f"its data has {len(entries)} sessions, it claims {header.count}"
        if reason is not None:
            return Review(ClaimVerdict.DISAGREES, reason, chains=tuple(chains), suspects=tuple(suspects))
        if unknown is not None:
            return Review(ClaimVerdict.UNREVIEWABLE, unknown, chains=tuple(chains))
        if missing is not None:
            return Review(ClaimVerdict.MISSING, missing, chains=tuple(chains))
        for chosen in itertools.islice(itertools.product(*options), MAX_ROOTS):
            leaves = tuple(leaf for _, leaf in chosen)
            if merkle_root([leaf.leaf() for leaf in leaves]) == header.root:
                return self._check_settlement(claim, header, leaves, tuple(chain for chain, _ in chosen))
        return Review(ClaimVerdict.DISAGREES, "its root isn't that of its data", chains=tuple(chains))

    def _check_settlement(
        self, claim: Claim, header: ClaimHeader, leaves: tuple[SessionClaim, ...], chains: tuple[Chain, ...]
    ) -> Review:
        """All that is claimed is right. What L1 refuses at settlement is told, though it does no harm."""
        obstacles = []
        for leaf, chain in zip(leaves, chains, strict=True):
            if (obstacle := self.obstacle(header, LeafContent.of(leaf), chain.session)) is not None:
                obstacles.append(f"session {leaf.session_id} won't settle: {obstacle}")
        self._record(claim, leaves)
        return Review(ClaimVerdict.AGREES, "; ".join(obstacles) or "it is what its data gives", leaves, chains)

    def _record(self, claim: Claim, leaves: Sequence[SessionClaim]) -> None:
        rows = [
            {"claim_id": claim.claim_id, "leaf_index": i, "session_id": leaf.session_id, "claim": leaf.encode()}
            for i, leaf in enumerate(leaves)
        ]

        def work(tx: Connection) -> None:
            present = self._store.claims.get(claim.claim_id, connection=tx)
            # After a reorg the number may be another claim's.
            if present is not None and present.header == claim.header:
                insert_all_absent(tx, schema.claim_sessions, rows)

        self._store.run(work)

    def obstacle(self, header: ClaimHeader, content: LeafContent, session: Session) -> str | None:
        """Why L1 will never settle a leaf of this session, whatever happens; None if it may.

        INVARIANT I1: a count of messages that L1 doesn't have yet is no obstacle, it may have them by then.
        """
        if session.status in (SessionStatus.SETTLED, SessionStatus.ABORTED):
            return f"the session was {session.status.value} before"
        if not session.opened_at <= content.last_timestamp <= header.claimed_at:
            return "its last block's time isn't between the session's opening and the claim"
        messages = self._store.inbox.load(session.session_id)
        count = content.inbox_count
        if count > len(messages):
            return None
        if content.inbox_hash != (messages[count - 1].inbox_hash if count else ZERO_HASH):
            return "its inbox hash isn't that of L1"
        if count < len(messages):
            due = Message.decode_transaction(messages[count].transaction).due_at
            if due < content.last_timestamp:
                return f"it leaves out message {count}, which was due"
        return None

    def session_of(self, header: ClaimHeader, config_hash: bytes) -> Session | None:
        """The session that a leaf names, None for none of L1's with the claim's terms."""
        table = schema.sessions.c
        query = select(table.session_id).where(
            table.config_hash == config_hash, table.status.not_in([SessionStatus.LOCAL, SessionStatus.REORGED])
        )
        found = self._store.read(lambda tx: tx.scalar(query))
        session = None if found is None else self._store.sessions.get(found)
        if session is None or session.configuration().terms_hash != header.terms_hash:
            return None
        return session

    def concerned(self, claim: Claim) -> bool:
        """Whether a claim could settle a session that can be executed here: one of its terms and a known template."""
        terms = self._store.terms.get(claim.terms_hash)
        if terms is None:
            return False
        table = schema.sessions.c
        query = (
            select(table.session_id)
            .where(
                table.status == SessionStatus.OPEN,
                table.terms == terms,
                table.template_id.in_(select(schema.templates.c.template_id)),
                table.opened_at <= claim.claimed_at,
            )
            .limit(1)
        )
        return self._store.read(lambda tx: tx.scalar(query)) is not None

    # -- chains -----------------------------------------------------------------------------------------------------

    def chains_of(self, session: Session) -> list[Chain]:
        """All histories of a session that claims' data gives, block 0 alone among them. Raises `NotExecutable`."""
        session_id = session.session_id
        with self._turn(session_id):
            beginning = self._executor.begin(session)
            with self._guard:
                known = self._known.get(session_id)
            if known is None or known[0].genesis_hash != beginning.genesis_hash:
                known = [beginning]
                for claim in self._claims(session_id):
                    self._extend_all(known, self._entries(claim, session_id))
            with self._guard:
                self._known[session_id] = known
                self._known.move_to_end(session_id)
                while len(self._known) > KEPT_SESSIONS:
                    self._known.popitem(last=False)
            return list(known)

    def _turn(self, session_id: int) -> threading.RLock:
        """One thread at a time executes a session."""
        with self._guard:
            return self._turns.setdefault(session_id, threading.RLock())

    def _execute(self, entry: SessionData) -> list[Chain]:
        """The histories that end with an entry of a claim's data: one for each in which its first block occurs."""
        session = self._store.sessions.get(entry.session_id)
        if session is None or session.status in (SessionStatus.LOCAL, SessionStatus.REORGED):
            raise _NoSession(f"its data is of a session {entry.session_id} that L1 doesn't know")
        if not entry.blocks:
            raise _NoSession(f"its data has no blocks of session {entry.session_id}")
        with self._turn(entry.session_id):
            # Who starts at block 0 needs no other claim to be looked at.
            known = self.chains_of(session) if entry.first_number else [self._executor.begin(session)]
            starts = _starts(known, entry.first_number)
            if not starts:
                first = entry.first_number
                raise _NoStart(f"session {entry.session_id} goes on from block {first}, which no claim's data reaches")
            made: list[Chain] = []
            failure: InvalidBlock | None = None
            for start in starts:
                try:
                    made.append(self._executor.extend(start, entry.blocks))
                except InvalidBlock as error:
                    failure = failure or error
            if not made:
                assert failure is not None, "there was a start"
                raise failure
            with self._guard:
                if (kept := self._known.get(entry.session_id)) is not None:
                    kept += [chain for chain in made if all(chain.blocks != other.blocks for other in kept)]
            return made

    def _extend_all(self, known: list[Chain], entries: Iterator[SessionData]) -> None:
        for entry in entries:
            for start in _starts(known, entry.first_number):
                try:
                    chain = self._executor.extend(start, entry.blocks)
                except InvalidBlock as error:
                    chain = error.chain
                if all(chain.blocks != other.blocks for other in known):
                    known.append(chain)

    def _entries(self, claim: Claim, session_id: int) -> Iterator[SessionData]:
        data = self._kept(claim)
        if data is None:
            return
        try:
            entries = decode_batch_data(data)
        except ProtocolError:
            return
        yield from (entry for entry in entries if entry.session_id == session_id)

    def _claims(self, session_id: int) -> Iterator[Claim]:
        """The claims that may have blocks of a session, oldest first: those of which it is known, and those of whose
        sessions nothing is.
        """
        leaves, claims = schema.claim_sessions.c, schema.claims.c
        of_it = select(leaves.claim_id).where(leaves.session_id == session_id)
        unknown = claims.claim_id.not_in(select(leaves.claim_id))
        query = select(claims.claim_id).where(unknown | claims.claim_id.in_(of_it)).order_by(claims.claim_id)
        for claim_id in self._store.read(lambda tx: list(tx.scalars(query))):
            claim = self._store.claims.get(claim_id)
            if claim is not None:
                yield claim


class _NoStart(Exception):
    """A range starts at a block that isn't known."""


class _NoSession(Exception):
    """Data of a session that L1 doesn't have."""


def _starts(known: Sequence[Chain], first: int) -> list[Chain]:
    """The histories up to a block, each once."""
    found: dict[bytes, Chain] = {}
    for chain in known:
        block_hash = chain.hash_of(first)
        if block_hash is not None:
            found.setdefault(block_hash, chain.cut(first))
    return list(found.values())
