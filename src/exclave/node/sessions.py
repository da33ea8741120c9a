"""The sessions of this process: who may write them (leases), and how they come into the engine and leave it.

The engine calls `persist` and `wake` from threads of its own; `exclave.node.sync`, the coordinator and the RPC methods
call the rest.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection

from exclave import _engine
from exclave.coordinator.ranges import block_bytes
from exclave.node.acceptance import AcceptancePolicy
from exclave.node.metrics import ACKNOWLEDGED_BLOCKS, SESSIONS_IN_MEMORY, SESSIONS_LOST
from exclave.node.placement import Placement
from exclave.protocol import Terms, init_message
from exclave.store import Lease, LeaseHeld, LeaseLost, Refusal, Session, SessionStatus, Store, StoredBlock
from exclave.store import SessionsRefused as StoreRefused
from exclave.store.leases import session_resource

if TYPE_CHECKING:
    from collections.abc import Iterable

log = structlog.get_logger(__name__)


WOKEN_AT_ONCE = 100
"""Sessions whose leases are taken in one transaction."""


class SessionNotServed(Exception):
    """The session can't be opened here; the text says why."""


@dataclass(slots=True)
class _Turn:
    """Who brings a session into memory or takes it out: one thread at a time. `users` hold it or wait for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


class SessionHost:
    """Owns the leases of the sessions in memory, and rebuilds sessions from the store."""

    def __init__(self, store: Store, owner: str, lease_seconds: float, policy: AcceptancePolicy) -> None:
        """`owner` is of this process only; `policy` says which sessions are served."""
        self.policy = policy
        self.placement = Placement(owner)
        self._store = store
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._leases: dict[int, Lease] = {}
        self._used: dict[int, float] = {}
        """When (monotonic) a session came into memory or made its last block durable."""
        self._guard = threading.Lock()
        self._turns: dict[int, _Turn] = {}
        self._engine: _engine.Engine | None = None
        self._templates: dict[bytes, bytes] = {}
        """State roots of the templates that the engine has, by id."""
        self._stored_templates: set[bytes] = set()
        """Ids of templates that are in the store, where they stay."""

    def attach(self, engine: _engine.Engine) -> None:
        """Give the engine whose callbacks these are; once."""
        self._engine = engine

    @property
    def engine(self) -> _engine.Engine:
        assert self._engine is not None, "attach() first"
        return self._engine

    @property
    def in_memory(self) -> list[int]:
        """Ids of the sessions that this process holds."""
        with self._guard:
            return sorted(self._leases)

    # -- callbacks of the engine ------------------------------------------------------------------------------------

    def persist(self, blocks: list[_engine.Block]) -> None:
        """Make sealed blocks durable (INVARIANT I6).

        Raises the engine's `SessionsRefused` for sessions that aren't ours any more.
        """
        with self._guard:
            tokens = {
                block.session_id: lease.token for block in blocks if (lease := self._leases.get(block.session_id))
            }
        try:
            self._store.blocks.write(blocks, tokens)
        except StoreRefused as refused:
            for session_id, refusal in refused.refusals.items():
                log.error("blocks refused by the store", session=session_id, reason=refusal.value)
                SESSIONS_LOST.labels(reason=refusal.name.lower()).inc()
                self._forget(session_id, release=refusal is not Refusal.LEASE_LOST)
            raise _engine.SessionsRefused(refused.session_ids) from refused
        now = time.monotonic()
        with self._guard:
            self._used.update((session_id, now) for session_id in tokens if session_id in self._leases)
        ACKNOWLEDGED_BLOCKS.inc(len(blocks))

    def wake(self, session_id: int, *, here: bool = False) -> bool | str:
        """Bring a session into the engine from the store. False when it doesn't exist (or L1 dropped it), the URL of
        another process that has it or, unless `here`, that is to have it.

        Raises `SessionNotServed` when it exists and can't be served here, `LeaseHeld` when another process has it of
        which no URL is known.
        """
        with self._alone(session_id):
            return self._wake(session_id, here)

    def wake_all(self, session_ids: Sequence[int]) -> dict[int, Exception]:
        """As `wake` for each, with one transaction for all leases; returns why some are not in memory."""
        with contextlib.ExitStack() as turns:
            for session_id in sorted(session_ids):
                turns.enter_context(self._alone(session_id))
            missing = [session_id for session_id in session_ids if self.engine.session_info(session_id) is None]
            resources = {session_resource(session_id): session_id for session_id in missing}
            taken, held = self._store.leases.acquire_many(list(resources), self._owner, self._lease_seconds)
            failures: dict[int, Exception] = {resources[resource]: error for resource, error in held.items()}
            leases = {resources[resource]: lease for resource, lease in taken.items()}
            self._keep(leases)
            for session_id in leases:
                try:
                    self._bring_in(session_id)
                except Exception as error:
                    failures[session_id] = error
        return failures

    # -- for the rest of the node -----------------------------------------------------------------------------------

    def unsupported_reason(self, session: Session, *, connection: Connection | None = None) -> str | None:
        """Why this node doesn't serve a session of L1; None when it does."""
        if session.status is SessionStatus.LOCAL:
            return None
        if refusal := self.policy.refusal(session):
            return refusal
        if not self._has_template(session.template_id, connection):
            return (
                f"its template 0x{session.template_id.hex()} isn't in this node: "
                "add the file with `exclave template add FILE`"
            )
        return None

    def drop_idle(self, seconds: float, most: int, most_bytes: int = 0) -> int:
        """Take sessions out of memory: those that made no block for so long, and when there are more than `most`, or
        they have more than `most_bytes` (0: no bound), those that made none for the longest. Returns how many. The next
        touch brings them back.

        The block that is being built is finished and kept; what waits is refused.
        """
        since = time.monotonic() - seconds if seconds else -1.0
        with self._guard:
            by_use = sorted(self._used.items(), key=lambda item: item[1])
        excess = len(by_use) - most
        memory = self.engine.session_memory() if most_bytes else {}
        excess_bytes = sum(memory.values()) - most_bytes
        dropped = 0
        for position, (session_id, used) in enumerate(by_use):
            if used > since and position >= excess and excess_bytes <= 0:
                break
            excess_bytes -= memory.get(session_id, 0)
            with self._alone(session_id):
                with self._guard:
                    still_idle = self._used.get(session_id) == used
                if still_idle:  # it may have been used while others were dropped
                    self._take_out(session_id)
                    dropped += 1
        if dropped:
            log.info("idle sessions left memory", sessions=dropped)
        return dropped

    def touch(self, session_ids: Sequence[int]) -> None:
        """These sessions have news in the store: messages for those in memory, reasons to be in memory for those that
        are to be here.
        """
        for session_id in session_ids:
            with self._alone(session_id):
                info = self.engine.session_info(session_id)
                if info is not None:
                    self._enqueue(info)
        self.bring_in([session_id for session_id in session_ids if self.placement.home(session_id) is None])

    def bring_in(self, session_ids: Sequence[int]) -> None:
        """Bring sessions into memory; those that can't be are left to their next touch."""
        for start in range(0, len(session_ids), WOKEN_AT_ONCE):
            failures = self.wake_all(session_ids[start : start + WOKEN_AT_ONCE])
            # INVARIANT I5: one session that can't be rebuilt doesn't keep anybody from the others.
            for session_id, error in failures.items():
                if isinstance(error, LeaseHeld) and self.placement.url_of(error.owner) is not None:
                    continue  # that process hears of it too
                if isinstance(error, SessionNotServed | LeaseHeld):
                    log.warning("session not loaded", session=session_id, reason=str(error))
                else:
                    log.error("session can't be loaded", session=session_id, exc_info=error)

    def revoked(self, session_id: int, token: int) -> None:
        """Leases of the session with an older token than this were taken away: what is in memory isn't what is in the
        store.
        """
        if self._lose(session_id, token):
            log.info("session left memory: L1 changed it", session=session_id)

    def followed_until(self, l1_timestamp: int) -> None:
        """All messages that L1 enqueued up to this time are in the store and in the sessions that are in memory
        (INVARIANT I4).
        """
        self.engine.followed_until(l1_timestamp)

    def renew(self) -> None:
        """Prolong all leases. Sessions whose lease was lost are dropped from memory."""
        with self._guard:
            held = list(self._leases.values())
        if not held:
            return
        try:
            renewed: Iterable[Lease] = self._store.leases.renew(held, self._lease_seconds)
        except LeaseLost as lost:
            renewed = [lease for lease in held if lease.resource not in lost.resources]
            stale = {(lease.resource, lease.token) for lease in held if lease.resource in lost.resources}
            for session_id, shown in self._held():
                if (shown.resource, shown.token) in stale and self._lose(session_id, shown.token + 1):
                    log.error("lease of a session lost: another process took it over", session=session_id)
                    SESSIONS_LOST.labels(reason="lease_lost").inc()
        with self._guard:
            for lease in renewed:
                session_id = int(lease.resource.partition(":")[2])
                if (current := self._leases.get(session_id)) and current.token == lease.token:
                    self._leases[session_id] = lease

    def release_all(self) -> None:
        """Give all leases back: the engine has stopped."""
        with self._guard:
            held = list(self._leases.values())
            self._leases.clear()
            self._used.clear()
        SESSIONS_IN_MEMORY.set(0)
        self._store.leases.release(held)

    # -- internals --------------------------------------------------------------------------------------------------

    def _wake(self, session_id: int, here: bool) -> bool | str:
        if self.engine.session_info(session_id) is not None:
            return True
        if self._store.read(lambda tx: self._servable(session_id, tx)) is None:
            return False
        resource = session_resource(session_id)
        if not here and (home := self.placement.home(session_id)) and self._store.leases.holder(resource) is None:
            return home
        try:
            lease = self._store.leases.acquire(resource, self._owner, self._lease_seconds)
        except LeaseHeld as held:
            if self.placement.url_of(held.owner) is None:
                # It may have come after the last look at who there is.
                self.placement.learn(self._store.processes.all())
            if url := self.placement.url_of(held.owner):
                return url
            raise
        self._keep({session_id: lease})
        return self._bring_in(session_id)

    def _enqueue(self, info: _engine.SessionInfo) -> None:
        """Give a session in memory the messages that the store has for it."""
        session_id = info.session_id
        messages = self._store.inbox.load(session_id, info.inbox_count)
        try:
            self.engine.enqueue_messages(session_id, [message.transaction for message in messages])
        except _engine.EngineError as error:
            # INVARIANT I4: it must not go on without them. The next touch reads it anew.
            log.error("session left memory: it doesn't take its messages", session=session_id, reason=str(error))
            self._take_out(session_id)

    def _bring_in(self, session_id: int) -> bool:
        """Restore a session whose lease was just taken; gives the lease back when that can't be."""
        try:
            # Anew: whoever had the lease until now may have written to it, and L1 may have decided it.
            with self._store.snapshot() as tx:
                session = self._servable(session_id, tx)
                if session is not None:
                    self._restore(session, tx)
        except BaseException:
            self.engine.drop_session(session_id)
            self._forget(session_id, release=True)
            raise
        if session is None:
            self._forget(session_id, release=True)
            return False
        log.info("session in memory", session=session_id)
        return True

    def _servable(self, session_id: int, tx: Connection) -> Session | None:
        """The session as the store has it now, None when there is none. Raises `SessionNotServed`."""
        session = self._store.sessions.get(session_id, connection=tx)
        if session is None or session.status is SessionStatus.REORGED:
            return None
        if reason := self.unsupported_reason(session, connection=tx):
            raise SessionNotServed(f"session {session_id} isn't served here: {reason}")
        if session.genesis_hash is None or session.seed is None:
            raise SessionNotServed(f"session {session_id} starts when the L1 block after its opening is confirmed")
        if session.status in (SessionStatus.SETTLED, SessionStatus.ABORTED):
            head = self._store.blocks.head(session_id, connection=tx)
            if head is None or head.result is None:
                # An ended session takes no transactions anyway; this one would.
                raise SessionNotServed(
                    f"L1 has {session.status} session {session_id} before it ended here, so it takes no more "
                    "transactions: zkcop_getSession tells its outcome"
                )
        return session

    def _keep(self, leases: Mapping[int, Lease]) -> None:
        now = time.monotonic()
        with self._guard:
            self._leases.update(leases)
            self._used.update(dict.fromkeys(leases, now))
            SESSIONS_IN_MEMORY.set(len(self._leases))

    def _restore(self, session: Session, tx: Connection) -> None:
        """Open, execute the stored blocks again (the engine compares every hash), and let it build."""
        assert session.seed is not None
        session_id = session.session_id
        init = inclusion_delay = data_bytes = None
        if session.status is not SessionStatus.LOCAL:
            terms = Terms.decode(session.terms)
            inclusion_delay = terms.inclusion_delay
            data_bytes = block_bytes(terms.data_mode, disputable=any(terms.dispute_game))
            init = init_message(
                session.chain_id,
                session.config_hash,
                session_id,
                session.deadline,
                session.seed,
                session.players,
                session.init_data,
            ).encode_transaction()
        genesis_hash = self.engine.open_session(
            session_id,
            session.chain_id,
            self._load_template(session.template_id, tx),
            session.config_hash,
            session.seed,
            session.opened_at,
            init,
            inclusion_delay=inclusion_delay,
            block_bytes=data_bytes,
        )
        if genesis_hash != session.genesis_hash:
            raise SessionNotServed(
                f"session {session_id}: block 0 isn't the one that is stored; the database or this build is wrong"
            )
        started = time.monotonic()
        last: StoredBlock | None = None
        for last in self._store.blocks.load(session_id, connection=tx):
            self.engine.restore_block(session_id, last.header, last.transactions, last.senders)
        messages = self._store.inbox.load(session_id, connection=tx)
        consumed = last.inbox_count if last else 0
        if (
            last is not None
            and consumed
            and (len(messages) < consumed or messages[consumed - 1].inbox_hash != last.inbox_hash)
        ):
            raise SessionNotServed(
                f"session {session_id} contains forced transactions that L1 dropped in a reorg, so L1 would not "
                "accept its result: it goes on if L1 takes the same ones again"
            )
        if last is not None:
            seconds = round(time.monotonic() - started, 3)
            log.info("session restored", session=session_id, blocks=last.number, seconds=seconds)
        # INVARIANT I4: no user's transaction comes before what is due.
        if messages[consumed:]:
            self.engine.enqueue_messages(session_id, [message.transaction for message in messages[consumed:]])
        self.engine.activate(session_id)

    def _has_template(self, template_id: bytes, connection: Connection | None) -> bool:
        templates = self._store.templates
        if template_id not in self._stored_templates and templates.state_root(template_id, connection=connection):
            self._stored_templates.add(template_id)
        return template_id in self._stored_templates

    def _load_template(self, template_id: bytes, tx: Connection) -> bytes:
        """The state root of a template that the engine then has."""
        if template_id not in self._templates:
            template = self._store.templates.get(template_id, connection=tx)
            if template is None:
                raise SessionNotServed(f"template 0x{template_id.hex()} isn't in this node")
            self.engine.add_template(template.data)
            self._templates[template_id] = template.state_root
        return self._templates[template_id]

    def _take_out(self, session_id: int) -> None:
        """Out of memory first: the block in progress still needs the lease."""
        self.engine.drop_session(session_id)
        self._forget(session_id, release=True)

    def _forget(self, session_id: int, *, release: bool) -> None:
        with self._guard:
            lease = self._leases.pop(session_id, None)
            self._used.pop(session_id, None)
            SESSIONS_IN_MEMORY.set(len(self._leases))
        if lease is not None and release:
            self._store.leases.release([lease])

    def _lose(self, session_id: int, token: int) -> bool:
        """Out of memory, if its lease is older than `token`; otherwise it was given back, or taken anew meanwhile."""
        with self._alone(session_id):
            with self._guard:
                current = self._leases.get(session_id)
            if current is None or current.token >= token:
                return False
            self._forget(session_id, release=False)
            self.engine.drop_session(session_id)
            return True

    @contextlib.contextmanager
    def _alone(self, session_id: int) -> Iterator[None]:
        """No other thread brings the session into memory or takes it out meanwhile."""
        with self._guard:
            turn = self._turns.setdefault(session_id, _Turn())
            turn.users += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._guard:
                turn.users -= 1
                if turn.users == 0:
                    del self._turns[session_id]

    def _held(self) -> list[tuple[int, Lease]]:
        with self._guard:
            return list(self._leases.items())


__all__ = ["LeaseHeld", "SessionHost", "SessionNotServed"]
