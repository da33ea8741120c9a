"""Follows ZkRelayer and its dispute contracts on L1, and makes the node's sessions agree with it.

One step reads a bounded range of confirmed L1 blocks and writes what their events cause together with the cursor in one
transaction of the store, so each step may be repeated from any point. Processes that have sessions in memory learn from
the store what changed (`exclave.node.sync`).

L1 is the truth: before each step the newest remembered block is compared with L1's, and after a reorg everything that
vanished blocks caused is undone first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import structlog
from sqlalchemy import Connection, delete, func, select

from exclave.l1.client import L1Client, L1Logs
from exclave.l1.errors import L1Error
from exclave.l1.values import L1Header
from exclave.node.metrics import (
    RELAYER_BLOCK,
    RELAYER_ERRORS,
    RELAYER_LAG,
    RELAYER_REPLACED_SESSIONS,
    RELAYER_ROLLBACKS,
    SESSIONS_OPENED,
)
from exclave.node.supervisor import FatalError
from exclave.protocol import Terms, genesis_header, init_message, session_seed
from exclave.protocol.constants import ZERO_ADDRESS
from exclave.relayer import effects
from exclave.relayer.archive import archive_chain
from exclave.relayer.events import (
    CallbackFailed,
    Event,
    EventReader,
    LeafHeld,
    LeafKilled,
    LeafReleased,
    MessageEnqueued,
    SessionAborted,
    SessionOpened,
    SessionSettled,
)
from exclave.store import JobState, L1Block, Rollback, Session, SessionStatus, Store, schema

log = structlog.get_logger(__name__)

FOLLOWER = "relayer"

T = TypeVar("T")

STARTED_AT_ONCE = 100
"""Sessions whose block 0 is recorded in one transaction."""

REMEMBERED_AT_THE_TIP = 16
"""L1 blocks before the newest that are all remembered when the Relayer reaches it."""


@dataclass(frozen=True, slots=True)
class RelayerSettings:
    """`overlap`: L1 blocks before the cursor that are read again, in case an endpoint left logs out. Pauses in s."""

    zk_relayer: bytes
    l1_chain_id: int
    start_block: int
    confirmations: int
    log_range: int
    poll_interval: float
    overlap: int = 8
    longest_pause: float = 30.0


class ServingPolicy(Protocol):
    """Which sessions are served."""

    @property
    def dispute_games(self) -> Sequence[bytes]:
        """Addresses of the dispute contracts whose news about own claims count."""
        ...

    def refusal(self, session: Session) -> str | None:
        """Why a session of L1 isn't; None when it is."""
        ...


class Host(Protocol):
    """Whom the Relayer works for: a node, or a watchtower, which serves nobody."""

    @property
    def policy(self) -> ServingPolicy: ...

    def unsupported_reason(self, session: Session) -> str | None:
        """Why a session can't be played here; None when it can."""
        ...


class L1Changed(L1Error):
    """What was read isn't of one chain: L1 reorganised meanwhile, or its endpoints disagree. It is read again."""


class Relayer:
    """The follower.

    `archive` is where the chains of replaced sessions go; `changed` is called after each step that wrote something.
    `fence` is called in each transaction first, and raises when another process follows L1 by now.
    """

    def __init__(
        self,
        l1: L1Client,
        store: Store,
        host: Host,
        settings: RelayerSettings,
        archive: Path,
        changed: Callable[[], None] = lambda: None,
        fence: Callable[[Connection], None] = lambda tx: None,
    ) -> None:
        self._l1 = l1
        self._store = store
        self._host = host
        self._settings = settings
        self._archive = archive
        self._changed = changed
        self._fence = fence
        self._reader = EventReader(settings.zk_relayer, settings.l1_chain_id)
        self.head: L1Header | None = None
        """The newest L1 block seen; None while L1 hasn't answered yet."""

    async def run(self) -> None:
        """Follow L1 until cancelled. L1's outages are waited out; sessions go on meanwhile."""
        while True:
            await self._follow("L1 can't be followed now, sessions go on")
            await asyncio.sleep(self._settings.poll_interval)

    async def catch_up(self) -> None:
        """Bring the store up to L1's confirmed state: what a node must know before it serves.

        L1's outages are waited out. Raises `FatalError`, and `StoreError`.
        """
        await asyncio.to_thread(self._reassess)
        await self._follow("L1 can't be followed now, the node serves once it has caught up with it")

    async def _follow(self, trouble: str) -> None:
        """Steps until there is nothing left to catch up with."""
        pause = self._settings.poll_interval
        while True:
            try:
                if not await self.step():
                    return
                pause = self._settings.poll_interval
            except L1Error as error:
                RELAYER_ERRORS.labels(error=type(error).__name__).inc()
                log.warning(trouble, error=str(error), retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._settings.longest_pause)

    def _write(self, work: Callable[[Connection], T]) -> T:
        def fenced(tx: Connection) -> T:
            self._fence(tx)
            return work(tx)

        return self._store.run(fenced)

    def _reassess(self) -> None:
        """The configuration may have changed since the last run, and with it which sessions are served."""
        if changed := self._write(lambda tx: self._store.sessions.reassess(self._host.policy.refusal, connection=tx)):
            log.info("the node serves other sessions than before", changed=changed)

    async def step(self) -> bool:
        """One look at L1; whether there is more to catch up with at once. Raises `L1Error`."""
        self.head = await self._l1.get_head()
        await self._undo_reorg(self.head)
        target = self.head.number - self._settings.confirmations
        cursor = await asyncio.to_thread(self._store.following.cursor, FOLLOWER) or await self._begin()
        if cursor is None:
            log.info("waiting for L1 to reach the start block", l1_block=self.head.number)
            return False
        done = cursor.number
        RELAYER_LAG.set(max(0, target - done))
        if target > done:
            last = min(target, done + self._settings.log_range)
            await self._advance(cursor, last, target)
            if target > last:
                log.info("catching up with L1", block=last, of=target, percent=round(100 * last / target, 1))
            done = last
        await self._start_pending()
        RELAYER_BLOCK.set(done)
        return target > done

    # -- forwards ---------------------------------------------------------------------------------------------------

    async def _begin(self) -> L1Block | None:
        """Remember the block before the first that matters: the ancestor of whatever L1 may do afterwards."""
        header = await self._l1.get_block(max(0, self._settings.start_block - 1))
        if header is None:
            return None
        block = L1Block(header.number, header.hash, header.timestamp)
        await asyncio.to_thread(self._write, lambda tx: self._store.following.advance(FOLLOWER, block, connection=tx))
        return block

    async def _advance(self, cursor: L1Block, last: int, target: int) -> None:
        """Read the blocks after the cursor and record their events.

        Raises `L1Changed`, and records nothing, when what was read isn't of one chain, and that chain the cursor's.
        """
        done = cursor.number
        first = max(self._settings.start_block, done + 1 - self._settings.overlap)
        contracts = [self._settings.zk_relayer, *await asyncio.to_thread(self._dispute_games)]
        answer = await self._l1.get_logs(contracts, [], first, last)
        headers: dict[int, L1Header] = {last: answer.last}
        for number, block_hash in sorted({(entry.block_number, entry.block_hash) for entry in answer.logs}):
            header = headers.get(number) or await self._l1.get_block(number)
            if header is None or header.hash != block_hash:
                raise L1Changed(f"L1 reorganised while its blocks {first} to {last} were read")
            headers[number] = header
        read = [self._reader.read(entry, headers[entry.block_number]) for entry in answer.logs]
        events = [event for event in read if event is not None]
        passed = [L1Block(last, answer.last.hash, answer.last.timestamp)]
        if last == target:
            # Where a reorg can reach, remember every block, so that not more is undone than must be.
            parent = answer.last.parent_hash
            for number in range(last - 1, max(done, last - REMEMBERED_AT_THE_TIP), -1):
                header = await self._l1.get_block(parent)
                if header is None:
                    raise L1Changed(f"L1 reorganised while its blocks {first} to {last} were read")
                passed.append(L1Block(number, parent, header.timestamp))
                parent = header.parent_hash
        await self._check_ancestry(cursor, passed, answer)
        news = await asyncio.to_thread(self._apply, events, passed[::-1], done)
        self._changed()
        await asyncio.to_thread(self._report, news)

    def _dispute_games(self) -> list[bytes]:
        """The contracts in which this node's claims may be disputed: those that the configuration accepts, and those of
        ranges on their way to settlement, which it may have accepted before.
        """
        query = (
            select(schema.sessions.c.terms)
            .join(schema.jobs, schema.jobs.c.session_id == schema.sessions.c.session_id)
            .where(schema.jobs.c.state != JobState.SETTLED)
            .distinct()
        )
        terms = self._store.read(lambda tx: list(tx.scalars(query)))
        games = {*self._host.policy.dispute_games, *(Terms.decode(encoded).dispute_game for encoded in terms)}
        return sorted(games - {ZERO_ADDRESS, self._settings.zk_relayer})

    async def _check_ancestry(self, cursor: L1Block, passed: list[L1Block], answer: L1Logs) -> None:
        """The blocks that were read (`passed`, the newest first) must come after the cursor's on one chain. Between
        `_undo_reorg` and the logs L1 may have reorganised, or an endpoint have answered that follows another branch.
        """
        oldest = passed[-1]
        remembered = await asyncio.to_thread(self._store.following.history, FOLLOWER, limit=REMEMBERED_AT_THE_TIP)
        chain = {block.number: block.hash for block in [*remembered, *passed]}
        agrees = all(chain.get(entry.block_number, entry.block_hash) == entry.block_hash for entry in answer.logs)
        if oldest.number == cursor.number + 1:
            header = answer.last if oldest.hash == answer.last.hash else await self._l1.get_block(oldest.hash)
            agrees = agrees and header is not None and header.parent_hash == cursor.hash
        else:
            # Too many blocks for a walk, so they are old: the chain that has the last of them must have the cursor's.
            for known in (passed[0], cursor):
                header = await self._l1.get_block(known.number)
                agrees = agrees and header is not None and header.hash == known.hash
        if not agrees:
            raise L1Changed(f"L1's block {passed[0].number} doesn't come after the known block {cursor.number}")

    def _apply(self, events: list[Event], passed: list[L1Block], done: int) -> list[Event]:
        """Record the events' effects and the cursor (the last of `passed`), all or nothing (INVARIANT I7). Returns the
        events that weren't read before.
        """
        for event in events:
            if isinstance(event, SessionOpened):
                self._archive_if_replaced(event)

        def work(tx: Connection) -> list[Event]:
            news = []
            for event in events:
                new = effects.record(
                    self._store,
                    event,
                    self._settings.l1_chain_id,
                    self._settings.zk_relayer,
                    self._host.policy.refusal,
                    tx,
                )
                if new or event.origin.block_number > done:
                    news.append(event)
                # Disputes move a claim to and fro, so that theirs have an effect each time they are read again.
                again = isinstance(event, LeafHeld | LeafReleased | LeafKilled)
                if new and event.origin.block_number <= done and not again:
                    log.warning("an L1 endpoint had left out an event", kind=type(event).__name__, origin=event.origin)
            effects.mark_settled_claims(self._store, tx)
            # A decided session takes no more transactions. Who still reads it brings it back for a while.
            decided = {event.session_id for event in news if isinstance(event, SessionSettled | SessionAborted)}
            self._store.changes.revoke(decided, connection=tx)
            with_messages = {event.session_id for event in news if isinstance(event, MessageEnqueued)}
            self._store.changes.touch(sorted(with_messages), connection=tx)
            for block in passed:
                self._store.following.advance(FOLLOWER, block, connection=tx)
            return news

        return self._write(work)

    def _report(self, news: list[Event]) -> None:
        for event in news:
            if isinstance(event, CallbackFailed):
                log.warning("the game contract refused an outcome", session=event.session_id)
        opened = [event.config.session_id for event in news if isinstance(event, SessionOpened)]
        found = self._store.read(lambda tx: [self._store.sessions.get(i, connection=tx) for i in opened])
        for session in found:
            if session is not None and (reason := self._host.unsupported_reason(session)):
                log.warning("session isn't served", session=session.session_id, reason=reason)

    def _archive_if_replaced(self, event: SessionOpened) -> None:
        known = self._store.sessions.get(event.config.session_id)
        if known and known.status is SessionStatus.REORGED and known.config_hash != event.config_hash:
            self._replace(known, "L1 opened another session under its id")

    def _replace(self, session: Session, reason: str) -> None:
        # Nobody writes to it any more: its lease was taken away when the reorg was undone.
        path = archive_chain(self._store, session, self._archive)
        if path is not None:
            RELAYER_REPLACED_SESSIONS.inc()
            log.error(
                "an L1 reorg replaced a session that was being played; its blocks are archived and a new one begins",
                session=session.session_id,
                reason=reason,
                archive=str(path),
            )

    # -- starting sessions ------------------------------------------------------------------------------------------

    async def _start_pending(self) -> None:
        """Start the sessions whose seed is known by now, and those whose template was added."""
        pending = await asyncio.to_thread(self._pending)
        headers: dict[int, L1Header | None] = {}
        for start in range(0, len(pending), STARTED_AT_ONCE):
            seeded = []
            for session in await asyncio.to_thread(self._sessions, pending[start : start + STARTED_AT_ONCE]):
                number = session.opened_block + 1
                if number not in headers:
                    headers[number] = await self._l1.get_block(number)
                header = headers[number]
                if header is None or header.parent_hash != session.l1_block_hash:
                    continue  # L1 reorganised; the next step sees it
                seeded.append((session, session_seed(header.prev_randao, session.session_id)))
            await asyncio.to_thread(self._start, seeded)
            self._changed()

    def _sessions(self, session_ids: Sequence[int]) -> list[Session]:
        """Those that this node serves."""
        found = self._store.read(lambda tx: [self._store.sessions.get(i, connection=tx) for i in session_ids])
        return [session for session in found if session is not None and self._host.policy.refusal(session) is None]

    def _pending(self) -> list[int]:
        """Sessions that this node serves, with a template that it has, whose seed's block was passed."""
        table, templates, followed = schema.sessions, schema.templates, schema.followed_blocks
        passed = select(func.max(followed.c.number)).where(followed.c.follower == FOLLOWER).scalar_subquery()
        query = (
            select(table.c.session_id)
            .join(templates, templates.c.template_id == table.c.template_id)
            .where(
                table.c.genesis_hash.is_(None),
                table.c.refusal.is_(None),
                table.c.status == SessionStatus.OPEN,
                table.c.opened_block < passed,
            )
            .order_by(table.c.session_id)
        )
        return self._store.read(lambda tx: list(tx.scalars(query)))

    def _start(self, seeded: Sequence[tuple[Session, bytes]]) -> None:
        """Record the block 0 of each, all in one transaction, and bring them into memory."""
        roots = {id_: self._store.templates.state_root(id_) for id_ in {session.template_id for session, _ in seeded}}
        chains = [(session, seed, _genesis(session, seed, roots[session.template_id])) for session, seed in seeded]
        for session, _, genesis in chains:
            first = next(self._store.blocks.load(session.session_id, 1, 1), None)
            if first is not None and first.parent_hash != genesis:
                self._replace(session, "the L1 block that its seed comes from was replaced")

        def work(tx: Connection) -> None:
            for session, seed, genesis in chains:
                self._begin_chain(session.session_id, seed, genesis, tx)
            self._store.changes.touch([session.session_id for session, _, _ in chains], connection=tx)

        self._write(work)
        SESSIONS_OPENED.inc(len(chains))
        for session, _, genesis in chains:
            block_0 = "0x" + genesis.hex()
            log.info("session opened", session=session.session_id, chain_id=session.chain_id, block_0=block_0)

    def _begin_chain(self, session_id: int, seed: bytes, genesis: bytes, tx: Connection) -> None:
        """Record block 0. What was to be claimed of a chain that stems from another block 0 isn't any more."""
        if self._store.sessions.set_genesis(session_id, seed, genesis, connection=tx):
            tx.execute(delete(schema.jobs).where(schema.jobs.c.session_id == session_id))

    # -- backwards --------------------------------------------------------------------------------------------------

    async def _undo_reorg(self, head: L1Header) -> None:
        """Undo what vanished L1 blocks caused.

        Raises `FatalError` when L1 has none of the remembered blocks.
        """
        history = await asyncio.to_thread(self._store.following.history, FOLLOWER)
        comparable = [block for block in history if block.number <= head.number]
        if history and not comparable:
            log.warning("the L1 endpoint is behind, waiting", l1_block=head.number, known_block=history[0].number)
        for position, block in enumerate(comparable):
            header = await self._l1.get_block(block.number)
            if header is None:
                return  # the endpoint fell behind since it named its head
            if header.hash == block.hash:
                if position:
                    await self._roll_back(block, history[0])
                if block.timestamp is None:
                    await asyncio.to_thread(self._complete, L1Block(block.number, block.hash, header.timestamp))
                return
        if comparable:
            raise FatalError(
                f"L1 has none of the {len(comparable)} blocks that this database remembers (the last is "
                f"{comparable[0].number}): the URL names another chain, or L1 was reset. Use the right L1, or another "
                "database"
            )

    def _complete(self, block: L1Block) -> None:
        self._write(lambda tx: self._store.following.complete(FOLLOWER, block, connection=tx))

    async def _roll_back(self, ancestor: L1Block, newest: L1Block) -> None:
        rollback = await asyncio.to_thread(self._write, lambda tx: self._undo(ancestor, tx))
        RELAYER_ROLLBACKS.inc()
        log.warning(
            "L1 reorganised",
            ancestor=ancestor.number,
            depth=newest.number - ancestor.number,
            sessions_reorged=rollback.reorged_sessions,
            sessions_unseeded=rollback.unseeded_sessions,
            outcomes_undone=rollback.reopened_sessions,
            inboxes_shortened=sorted(rollback.shortened_inboxes),
            claims_removed=rollback.removed_claims,
        )
        self._changed()

    def _undo(self, ancestor: L1Block, tx: Connection) -> Rollback:
        rollback = self._store.following.rollback(FOLLOWER, ancestor.number, connection=tx)
        effects.reopen_claims(self._store, rollback, tx)
        # What is in memory was built on events that are gone. The sessions wake again from what the store then says.
        changed = {*rollback.reorged_sessions, *rollback.unseeded_sessions, *rollback.shortened_inboxes}
        self._store.changes.revoke(changed, connection=tx)
        return rollback


def _genesis(session: Session, seed: bytes, state_root: bytes | None) -> bytes:
    """The hash of a session's block 0; `state_root` is its template's."""
    assert state_root is not None, "_pending() checked it"
    init = init_message(
        session.chain_id,
        session.config_hash,
        session.session_id,
        session.deadline,
        seed,
        session.players,
        session.init_data,
    )
    return genesis_header(state_root, session.config_hash, seed, session.opened_at, init.hash()).hash()
