"""zkCoordinator: from ended sessions to settled ones.

Each pass looks at the work list in the store (`jobs`) and takes every job one step further:

    blocks -> range (ENDED) -> batch and claim intent (BATCHED) -> claim on L1 (CLAIMED)
           -> settle intent (SETTLEABLE) -> SETTLED

Every effect on L1 is an intent with a deterministic key, written in the transaction that moves the jobs (INVARIANT I7).
What L1 has (claims, settlements) is told by the Relayer, which writes it into the same tables. So a pass may be cut off
anywhere, and the next one goes on. A leaf that a dispute holds stays CLAIMED until it is free again; the claim's other
leaves settle meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, or_, select

from exclave.coordinator.attempts import Attempts
from exclave.coordinator.batching import Proposal, fail_job, postpone_job, propose_batches
from exclave.coordinator.calls import (
    L1SessionStatus,
    ZkRelayerReader,
    encode_claim,
    encode_release_bond,
    encode_retry_callback,
    encode_settle,
    encode_settle_all,
)
from exclave.coordinator.collect import collect_ranges, collect_stranded
from exclave.coordinator.settings import CoordinatorSettings
from exclave.coordinator.stopper import Stopper
from exclave.l1.blobs import pack_blobs
from exclave.l1.client import CallRequest, L1Client
from exclave.l1.errors import L1Error, NodeError
from exclave.l1.intents import Intent, IntentConflict, IntentRefused, IntentState
from exclave.l1.transaction_manager import EthTxManager
from exclave.l1.values import L1Header
from exclave.node.acceptance import AcceptancePolicy
from exclave.node.metrics import CLAIMS_SENT, COORDINATOR_ERRORS, COORDINATOR_JOBS, SETTLEMENTS_SENT
from exclave.protocol import (
    NO_ANCHOR,
    Anchor,
    ClaimHeader,
    DataMode,
    SessionClaim,
    Settlement,
    Terms,
    block_hash_proof,
    claim_digest,
    keccak256,
    merkle_proof,
    merkle_root,
    sign_digest,
)
from exclave.protocol.constants import ZERO_ADDRESS, ZERO_HASH
from exclave.relayer.relayer import FOLLOWER
from exclave.store import (
    Claim,
    ClaimStatus,
    Job,
    JobState,
    Leaf,
    NewBatch,
    RecordConflict,
    Session,
    SessionStatus,
    StateConflict,
    Store,
    StoreError,
    schema,
)
from exclave.store.intents import IntentRepository

log = structlog.get_logger(__name__)

TRANSACTION_GAS_CAP = 16_777_216
"""EIP-7825."""

SETTLE_ALL_GAS = 15_000_000
"""Estimated gas above which a claim's sessions are settled one by one: estimates may be short by some."""

CALLBACK_ATTEMPTS = 10
"""How often a game is offered an outcome that it refuses. After that its owner must call `retryCallback`."""

_CHANGED_MEANWHILE = (StateConflict, RecordConflict, IntentConflict)
"""What is to be recorded contradicts what was recorded since it was looked at: the next pass looks anew."""


@dataclass(frozen=True, slots=True)
class _ClaimToSettle:
    """A claim of this node with all that settling takes. `sessions` has those that L1 hasn't replaced since."""

    claim: Claim
    header: ClaimHeader
    leaves: tuple[Leaf, ...]
    claims: tuple[SessionClaim, ...]
    sessions: dict[int, Session]
    results: dict[int, bytes]
    jobs: tuple[Job, ...]

    def settlement(self, index: int) -> Settlement:
        """Leaf `index` as the contract takes it."""
        leaf = self.claims[index]
        result = b"" if leaf.result_hash == ZERO_HASH else self.results[leaf.session_id]
        return Settlement(self.sessions[leaf.session_id].configuration(), leaf, result)

    @property
    def at_once(self) -> bool:
        """Whether one transaction may settle all: every leaf is known and the end of its session, and none failed yet.

        What failed is settled leaf by leaf, so that what is wrong with one can't keep the others (INVARIANT I5).
        """
        whole = all(leaf.result_hash != ZERO_HASH and not leaf.first_number for leaf in self.claims)
        known = all(leaf.session_id in self.sessions for leaf in self.claims)
        return len(self.jobs) > 1 and whole and known and not any(job.attempts for job in self.jobs)


@dataclass(frozen=True, slots=True)
class _SettlementCall:
    """A call of ZkRelayer that ends jobs; `series` is what the keys of the attempts at it start with."""

    series: str
    data: bytes
    jobs: tuple[Job, ...]
    gas_limit: int | None = None


class Coordinator:
    """The passes, and the loop that makes them."""

    def __init__(
        self,
        l1: L1Client,
        store: Store,
        manager: EthTxManager,
        settings: CoordinatorSettings,
        policy: AcceptancePolicy,
        stopper: Stopper | None,
        operator_key: bytes,
    ) -> None:
        """`policy` says under which terms bonds are locked; `stopper` is None where sessions aren't stopped after their
        deadline; `operator_key` signs claims.
        """
        self._l1 = l1
        self._store = store
        self._intents = IntentRepository(store)
        self._manager = manager
        self._attempts = Attempts(store, manager, settings.pause)
        self._settings = settings
        self._policy = policy
        self._stopper = stopper
        self._operator_key = operator_key
        self._reader = ZkRelayerReader(l1, settings.zk_relayer)
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """There may be work: make the next pass at once. From the event loop's thread."""
        self._changed.set()

    async def run(self) -> None:
        """Make passes until cancelled. L1's outages are waited out."""
        while True:
            self._changed.clear()
            try:
                await self.step()
            except L1Error as error:
                COORDINATOR_ERRORS.labels(error=type(error).__name__).inc()
                log.warning("L1 can't be reached, claims and settlements wait", error=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.poll_interval):
                    await self._changed.wait()

    async def step(self) -> None:
        """One pass. Raises `L1Error` when L1 doesn't answer."""
        if self._stopper is not None:
            await asyncio.to_thread(self._stopper.stop_expired)
        await asyncio.to_thread(collect_ranges, self._store, self._settings.checkpoint_blocks)
        await asyncio.to_thread(collect_stranded, self._store)
        head = await self._l1.get_head()
        await asyncio.to_thread(self._take_back_failures)
        await self._claim(head)
        await self._settle(head)
        await self._release_bonds(head)
        await self._deliver_outcomes()
        for state, count in (await asyncio.to_thread(self._store.jobs.counts)).items():
            COORDINATOR_JOBS.labels(state=state.value).set(count)

    # -- claims -----------------------------------------------------------------------------------------------------

    async def _claim(self, head: L1Header) -> None:
        proposals = await asyncio.to_thread(propose_batches, self._store, self._settings, self._policy, head.timestamp)
        for proposal in proposals:
            # INVARIANT I5: one claim that can't be made doesn't keep the coordinator from the others.
            try:
                await self._make_claim(proposal)
            except _CHANGED_MEANWHILE as error:
                log.info("not claimed now, the work list has changed meanwhile", reason=str(error))
            except IntentRefused as error:
                for member in proposal.members:
                    await asyncio.to_thread(fail_job, self._store, member.job, str(error))
            except (L1Error, StoreError):
                raise
            except Exception as error:
                log.exception("a claim can't be made", sessions=[member.job.session_id for member in proposal.members])
                reason = f"it can't be claimed: {type(error).__name__}: {error}"
                for member in proposal.members:
                    await asyncio.to_thread(postpone_job, self._store, self._settings, member.job, reason)

    async def _make_claim(self, proposal: Proposal) -> None:
        decided = await self._decided([member.session.session_id for member in proposal.members])
        remaining = await asyncio.to_thread(proposal.without, decided) if decided else proposal
        if remaining is None:
            return
        deposit = await self._missing_deposit(remaining)
        await asyncio.to_thread(self._record_claim, remaining, deposit)
        self._manager.notify()

    async def _decided(self, session_ids: Sequence[int]) -> set[int]:
        """Those that L1's newest state has decided: the Relayer will say so after its confirmations."""
        decided = set()
        for session_id in session_ids:
            status = await self._reader.session_status(session_id)
            if status is not L1SessionStatus.OPEN:
                log.info("not claimed, L1 has decided the session", session=session_id, status=status.name.lower())
                decided.add(session_id)
        return decided

    async def _missing_deposit(self, proposal: Proposal) -> int:
        """Wei to send with the claim so that its bond can be locked.

        Claims that are on their way are counted in full, though L1 may have locked their bonds already: sending too
        much only raises the deposit, sending too little makes a claim fail.
        """
        bond = proposal.terms.claim_bond * len(proposal.members)
        available = await self._reader.available_deposit(self._manager.address)
        return max(0, bond + await asyncio.to_thread(self._bonds_on_their_way) - available)

    def _bonds_on_their_way(self) -> int:
        jobs = schema.jobs.c
        query = select(jobs.session_id, jobs.batch_id).where(jobs.state == JobState.BATCHED)

        def work(tx: Connection) -> int:
            total = 0
            for session_id, _ in tx.execute(query):
                session = self._store.sessions.get(session_id, connection=tx)
                assert session is not None, "jobs refer to sessions"
                total += Terms.decode(session.terms).claim_bond
            return total

        return self._store.read(work)

    def _record_claim(self, proposal: Proposal, deposit: int) -> None:
        """The batch, its intent and its jobs' new state: all or nothing (INVARIANT I7)."""
        terms, members = proposal.terms, proposal.members
        claims = [member.range.claim for member in members]
        root = merkle_root([claim.leaf() for claim in claims])
        data_hash = keccak256(proposal.data) if terms.data_mode is DataMode.ON_DEMAND else ZERO_HASH
        calldata = proposal.data if terms.data_mode is DataMode.CALLDATA else b""
        blobs = pack_blobs(proposal.data) if terms.data_mode is DataMode.BLOB else ()
        signature = self._sign_claim(root, len(members), terms)

        def work(tx: Connection) -> int:
            # A claim that failed is made anew under another key: the jobs that it was for are here, so it is over.
            key = f"claim:{root.hex()}:{self._store.batches.count_of_root(root, connection=tx)}"
            intent = Intent(
                key=key,
                to=self._settings.zk_relayer,
                data=encode_claim(root, len(members), terms, data_hash, calldata, signature),
                value=deposit,
                blobs=blobs,
            )
            batch = NewBatch(
                claims_root=root,
                terms_hash=terms.hash(),
                data_mode=int(terms.data_mode),
                data=proposal.data,
                intent_key=key,
                leaves=[Leaf(index, claim.session_id, claim.encode()) for index, claim in enumerate(claims)],
            )
            batch_id = self._store.batches.create(batch, connection=tx)
            for index, member in enumerate(members):
                self._store.jobs.move(
                    member.job.session_id,
                    member.job.first_number,
                    [JobState.ENDED],
                    JobState.BATCHED,
                    batch_id=batch_id,
                    leaf_index=index,
                    claim_intent=key,
                    error=None,
                    connection=tx,
                )
            self._manager.record(intent, connection=tx)
            return batch_id

        batch_id = self._store.run(work)
        CLAIMS_SENT.inc()
        log.info(
            "claim recorded",
            batch=batch_id,
            sessions=[claim.session_id for claim in claims],
            root="0x" + root.hex(),
            data_mode=terms.data_mode.name.lower(),
            data_bytes=len(proposal.data),
            value=deposit,
        )

    def _sign_claim(self, root: bytes, count: int, terms: Terms) -> bytes:
        """The operator's consent, which L1 demands where nobody could dispute the claim."""
        if terms.dispute_game != ZERO_ADDRESS:
            return b""
        settings, claimant = self._settings, self._manager.address
        digest = claim_digest(settings.l1_chain_id, settings.zk_relayer, claimant, root, count, terms.hash())
        return sign_digest(digest, self._operator_key)

    # -- settlement -------------------------------------------------------------------------------------------------

    async def _settle(self, head: L1Header) -> None:
        for claim_id in await asyncio.to_thread(self._settleable, head.timestamp):
            try:
                await self._settle_claim(claim_id)
            except (*_CHANGED_MEANWHILE, IntentRefused) as error:
                log.warning("a claim isn't settled now", claim=claim_id, reason=str(error))
            except (L1Error, StoreError):
                raise
            except Exception:
                # INVARIANT I5: one claim that can't be settled doesn't keep the others from it.
                log.exception("a claim can't be settled", claim=claim_id)

    async def _settle_claim(self, claim_id: int) -> None:
        todo = await asyncio.to_thread(self._load_claim, claim_id)
        if todo is None:
            return
        open_jobs = [
            job for job in todo.jobs if await self._reader.session_status(job.session_id) is L1SessionStatus.OPEN
        ]
        if not open_jobs:
            return  # L1 decided all of them, the Relayer will say so
        settlements = await self._settlements(todo, open_jobs)
        await asyncio.to_thread(self._record_settlements, settlements)
        self._manager.notify()

    def _settleable(self, l1_time: int) -> list[int]:
        """Claims of this node whose window is over, with sessions left to settle."""
        jobs, claims = schema.jobs, schema.claims
        query = (
            select(jobs.c.claim_id)
            .select_from(jobs.join(claims, claims.c.claim_id == jobs.c.claim_id))
            .where(
                jobs.c.state == JobState.CLAIMED,
                jobs.c.not_before <= self._store.now(),
                claims.c.status.in_([ClaimStatus.POSTED, ClaimStatus.HELD]),
                claims.c.settleable_at <= l1_time,
            )
            .distinct()
            .order_by(jobs.c.claim_id)
        )
        return self._store.read(lambda tx: list(tx.scalars(query)))

    def _load_claim(self, claim_id: int) -> _ClaimToSettle | None:
        """All about a claim; None when nothing in it can be settled now.

        Checkpoints are confirmed in their order, and the range after the last of them settles the session.
        """

        def work(tx: Connection) -> _ClaimToSettle | None:
            claim = self._store.claims.get(claim_id, connection=tx)
            leaves = self._store.claims.leaves(claim_id, connection=tx)
            assert claim is not None and leaves, "jobs refer to claims of this node"
            decoded = [SessionClaim.decode(leaf.claim) for leaf in leaves]
            sessions: dict[int, Session] = {}
            results: dict[int, bytes] = {}
            jobs: list[Job] = []
            standing = self._store.disputes.standing(claim_id, connection=tx)
            # INVARIANT I5: a leaf in dispute keeps its own session only.
            disputed = {
                index for index, leaf_standing in standing.items() if leaf_standing.held or leaf_standing.killed
            }
            for index, leaf in enumerate(decoded):
                session = self._store.sessions.get(leaf.session_id, connection=tx)
                if session is None or (session.config_hash, session.seed) != (leaf.config_hash, leaf.seed):
                    continue  # INVARIANT I5: L1 replaced it since; the other leaves can be settled
                if leaf.result_hash != ZERO_HASH:
                    head = self._store.blocks.head(leaf.session_id, connection=tx)
                    if head is None or head.result is None or keccak256(head.result) != leaf.result_hash:
                        log.error("a claimed session's chain was replaced", claim=claim_id, session=leaf.session_id)
                        continue
                    results[leaf.session_id] = head.result
                sessions[leaf.session_id] = session
                if index in disputed:
                    continue
                before = None
                for job in self._store.jobs.of_session(leaf.session_id, connection=tx):
                    mine = job.first_number == leaf.first_number and job.claim_id == claim_id
                    anchored = before is None or before.state is JobState.SETTLED
                    if mine and anchored and job.state is JobState.CLAIMED and job.not_before <= self._store.now():
                        jobs.append(job)
                    before = job
            if not jobs:
                return None
            header = ClaimHeader.decode(claim.header)
            return _ClaimToSettle(claim, header, tuple(leaves), tuple(decoded), sessions, results, tuple(jobs))

        return self._store.read(work)

    async def _settlements(self, todo: _ClaimToSettle, open_jobs: Sequence[Job]) -> list[_SettlementCall]:
        """One transaction for the whole claim where it fits and has no checkpoints, else one for each session."""
        claim_id = todo.claim.claim_id
        if todo.at_once and len(open_jobs) > 1:
            items = [todo.settlement(index) for index in range(len(todo.claims))]
            gas = await self._gas_for(encode_settle_all(claim_id, todo.header, items, len(open_jobs)))
            if gas is not None:
                # INVARIANT I5: games that burn more by then keep some from this transaction, and undo none of it.
                data = encode_settle_all(claim_id, todo.header, items, 1)
                gas_limit = min(gas * 6 // 5, TRANSACTION_GAS_CAP)
                return [_SettlementCall(f"{_settle_key(todo.claim)}:all", data, tuple(open_jobs), gas_limit)]
        leaves = [claim.leaf() for claim in todo.claims]
        settlements = []
        for job in open_jobs:
            assert job.leaf_index is not None, "claimed jobs have a leaf"
            data = encode_settle(
                claim_id,
                todo.header,
                todo.settlement(job.leaf_index),
                job.leaf_index,
                merkle_proof(leaves, job.leaf_index),
                await asyncio.to_thread(self._anchor, todo.claims[job.leaf_index]),
            )
            settlements.append(_SettlementCall(f"{_settle_key(todo.claim)}:{job.leaf_index}", data, (job,)))
        return settlements

    def _anchor(self, leaf: SessionClaim) -> Anchor:
        """Where a leaf's range starts."""
        if leaf.first_number == 0:
            return NO_ANCHOR
        hashes = self._store.blocks.hashes(leaf.session_id, leaf.first_number, leaf.last_number)
        return Anchor(hashes[0], tuple(block_hash_proof(hashes, 0)))

    async def _gas_for(self, data: bytes) -> int | None:
        """What one transaction needs for it; None if it doesn't fit into the gas cap or the pools' size, or reverts."""
        if len(data) > 120_000:
            return None
        try:
            gas = await self._l1.estimate_gas(
                CallRequest(to=self._settings.zk_relayer, data=data, sender=self._manager.address)
            )
        except NodeError as error:
            log.info("a claim's sessions are settled one by one", reason=str(error)[:200])
            return None
        return gas if gas <= SETTLE_ALL_GAS else None

    def _record_settlements(self, settlements: Sequence[_SettlementCall]) -> None:
        """The intents and their jobs' new state: all or nothing (INVARIANT I7)."""

        def work(tx: Connection) -> None:
            for settlement in settlements:
                # The keys of a series are counted, not taken from the jobs' attempts, which begin anew after a reorg.
                intent = self._attempts.next_intent(
                    settlement.series, self._settings.zk_relayer, settlement.data, tx, settlement.gas_limit
                )
                for job in settlement.jobs:
                    self._store.jobs.move(
                        job.session_id,
                        job.first_number,
                        [JobState.CLAIMED],
                        JobState.SETTLEABLE,
                        settle_intent=intent.key,
                        error=None,
                        connection=tx,
                    )
                self._manager.record(intent, connection=tx)

        self._store.run(work)
        SETTLEMENTS_SENT.inc(len(settlements))
        for settlement in settlements:
            sessions = [job.session_id for job in settlement.jobs]
            log.info("settlement recorded", intent=settlement.series, sessions=sessions)

    # -- what failed ------------------------------------------------------------------------------------------------

    def _take_back_failures(self) -> None:
        """Jobs whose intent failed on L1, or had no effect, go one step back and are tried again later."""
        for job in self._store.jobs.due([JobState.BATCHED, JobState.SETTLEABLE], self._store.now()):
            if job.state is JobState.BATCHED:
                assert job.claim_intent is not None, "batched jobs have an intent"
                if problem := self._problem(job.claim_intent):
                    self._step_back(job, JobState.ENDED, problem, batch_id=None, leaf_index=None, claim_intent=None)
            elif job.claim_id is None:
                # A reorg undid a settlement that was not by this node's claim.
                self._step_back(job, JobState.ENDED, "its settlement was undone by a reorg", batch_id=None)
            elif job.settle_intent is None:
                self._step_back(job, JobState.CLAIMED, "its settlement was undone by a reorg")
            elif problem := self._problem(job.settle_intent) or self._without_effect(job.settle_intent):
                self._step_back(job, JobState.CLAIMED, problem, settle_intent=None)

    def _step_back(self, job: Job, state: JobState, problem: str, **fields: Any) -> None:
        pause = self._settings.pause(job.attempts)
        log.warning("tried again later", session=job.session_id, state=state.value, reason=problem, seconds=pause)
        try:
            self._store.jobs.move(
                job.session_id,
                job.first_number,
                [job.state],
                state,
                attempts=job.attempts + 1,
                not_before=self._store.now() + pause,
                error=problem,
                **fields,
            )
        except StateConflict:
            return  # the Relayer has moved it on in between

    def _problem(self, key: str) -> str | None:
        """Why an intent has had no effect and won't have; None while it may."""
        record = self._intents.get(key)
        if record is None:
            return f"the intent {key} is lost"
        if record.state in (IntentState.FAILED, IntentState.ABANDONED):
            return f"{key}: {record.reason or record.state.value}"
        return None

    def _without_effect(self, key: str) -> str | None:
        """A confirmed settlement after which the Relayer still has the session open: a dispute held its leaf."""
        record = self._intents.get(key)
        cursor = self._store.following.cursor(FOLLOWER)
        if record is None or record.state is not IntentState.CONFIRMED or record.block_number is None:
            return None
        if cursor is None or cursor.number < record.block_number:
            return None
        return f"{key} had no effect on the session"

    # -- bonds ------------------------------------------------------------------------------------------------------

    async def _release_bonds(self, head: L1Header) -> None:
        for claim in await asyncio.to_thread(self._releasable, head.timestamp):
            record = await self._reader.claim_record(claim.claim_id)
            if record.released or record.held:
                continue
            data = encode_release_bond(claim.claim_id, ClaimHeader.decode(claim.header))
            await asyncio.to_thread(self._attempts.record, _release_key(claim), self._settings.zk_relayer, data)
            self._manager.notify()
            log.info("bond asked back", claim=claim.claim_id, wei=claim.bond)

    def _releasable(self, l1_time: int) -> list[Claim]:
        """This node's claims whose window is over, that have nothing left to settle, and whose bond is to be asked back
        now. A leaf that can't settle (killed, or of a session that L1 replaced) doesn't keep the others' bonds.
        """
        claims, jobs = schema.claims, schema.jobs
        unsettled = jobs.c.state.in_([JobState.CLAIMED, JobState.SETTLEABLE]) & (jobs.c.claim_id == claims.c.claim_id)
        query = (
            select(claims.c.claim_id)
            .where(
                claims.c.status != ClaimStatus.DEAD,
                ~select(jobs.c.session_id).where(unsettled).exists(),
                claims.c.claimant == self._manager.address,
                claims.c.released_block.is_(None),
                claims.c.settleable_at <= l1_time,
            )
            .order_by(claims.c.claim_id)
        )

        def work(tx: Connection) -> list[Claim]:
            found = [self._store.claims.get(claim_id, connection=tx) for claim_id in tx.scalars(query).all()]
            return [claim for claim in found if claim is not None and self._attempts.may_try(_release_key(claim), tx)]

        return self._store.read(work)

    # -- outcomes that games refused --------------------------------------------------------------------------------

    async def _deliver_outcomes(self) -> None:
        """Offer games the outcomes that they refused: stakes are stuck in a game until it takes its outcome."""
        for session in await asyncio.to_thread(self._undelivered):
            if not await self._reader.callback_failed(session.session_id):
                log.info("the game has its outcome now", session=session.session_id)
                await asyncio.to_thread(self._store.sessions.set_callback_failed, session.session_id, None)
                continue
            data = encode_retry_callback(session.configuration(), session.result or b"")
            await asyncio.to_thread(self._attempts.record, _callback_key(session), self._settings.zk_relayer, data)
            self._manager.notify()
            log.info("outcome offered to the game again", session=session.session_id)

    def _undelivered(self) -> list[Session]:
        """Sessions whose game refused the outcome, and is to be offered it now."""
        sessions = schema.sessions
        query = (
            select(sessions.c.session_id)
            .where(
                sessions.c.callback_failed_block.is_not(None),
                sessions.c.refusal.is_(None),
                # The result that players agreed on may be one that this node doesn't have.
                or_(
                    sessions.c.status == SessionStatus.ABORTED,
                    (sessions.c.status == SessionStatus.SETTLED) & sessions.c.result.is_not(None),
                ),
            )
            .order_by(sessions.c.session_id)
        )

        def work(tx: Connection) -> list[Session]:
            found = [self._store.sessions.get(session_id, connection=tx) for session_id in tx.scalars(query).all()]
            return [
                session
                for session in found
                if session is not None and self._attempts.may_try(_callback_key(session), tx, CALLBACK_ATTEMPTS)
            ]

        return self._store.read(work)


def _settle_key(claim: Claim) -> str:
    """What the keys of a claim's settlements start with. L1 may give its id to another claim after a reorg."""
    return f"settle:{claim.claim_id}:{claim.claimed_at}:{claim.claims_root.hex()[:16]}"


def _release_key(claim: Claim) -> str:
    """What the keys of the attempts to get a claim's bond back start with."""
    return f"release:{claim.claim_id}:{claim.claimed_at}"


def _callback_key(session: Session) -> str:
    """What the keys of the attempts to give a game its outcome start with."""
    return f"callback:{session.session_id}:{session.callback_failed_block}"
