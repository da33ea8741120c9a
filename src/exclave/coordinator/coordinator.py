"""zkCoordinator: from ended sessions to settled ones.

Each pass looks at the work list in the store (`jobs`) and takes every job one step further:

    blocks -> range (ENDED) -> batch, claim intent (BATCHED) -> claim on L1 (CLAIMED) -> settle intent (SETTLEABLE) -> SETTLED

Every effect on L1 is an intent with a deterministic key, written in the transaction that moves the jobs (INVARIANT I7).
What L1 has (claims, settlements) is told by the Relayer, which writes it into the same tables. So a pass may be cut off
anywhere, and the next one goes on. Disputes add states between CLAIMED and SETTLEABLE: a claim that is held isn't settled.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, select

from exclave.coordinator.batching import Proposal, propose_batches
from exclave.coordinator.calls import (
    L1SessionStatus,
    ZkRelayerReader,
    encode_claim,
    encode_release_bond,
    encode_settle,
    encode_settle_all,
)
from exclave.coordinator.collect import collect_ranges
from exclave.coordinator.settings import CoordinatorSettings
from exclave.coordinator.stopper import Stopper
from exclave.l1.blobs import pack_blobs
from exclave.l1.client import CallRequest, L1Client
from exclave.l1.errors import ExecutionReverted, L1Error, NodeError
from exclave.l1.values import L1Header
from exclave.node.metrics import CLAIMS_SENT, COORDINATOR_ERRORS, COORDINATOR_JOBS, SETTLEMENTS_SENT
from exclave.protocol import (
    ClaimHeader,
    DataMode,
    SessionClaim,
    SessionConfig,
    Settlement,
    Terms,
    keccak256,
    merkle_proof,
    merkle_root,
    players_hash,
)
from exclave.protocol.constants import ZERO_HASH
from exclave.store import Claim, ClaimStatus, Job, JobState, Leaf, NewBatch, Session, SessionStatus, Store, schema

log = structlog.get_logger(__name__)

TRANSACTION_GAS_CAP = 16_777_216
"""EIP-7825."""

SETTLE_ALL_GAS = 15_000_000
"""Estimated gas above which a claim's sessions are settled one by one: estimates may be short by some."""


@dataclass(frozen=True, slots=True)
class _ClaimToSettle:
    """A claim of this node with all that settling takes."""

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
        return Settlement(session_config(self.sessions[leaf.session_id]), leaf, self.results[leaf.session_id])


class Coordinator:
    """The passes, and the loop that makes them."""

    def __init__(
        self,
        l1: L1Client,
        store: Store,
        manager: EthTxManager,
        settings: CoordinatorSettings,
        stopper: Stopper | None,
    ) -> None:
        """`stopper` is None where sessions aren't stopped after their deadline."""
        self._l1 = l1
        self._store = store
        self._manager = manager
        self._settings = settings
        self._stopper = stopper
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
            try:
                await asyncio.wait_for(self._changed.wait(), self._settings.poll_interval)
            except TimeoutError:
                continue

    async def step(self) -> None:
        """One pass. Raises `L1Error` when L1 doesn't answer."""
        if self._stopper is not None:
            await asyncio.to_thread(self._stopper.stop_expired)
        await asyncio.to_thread(collect_ranges, self._store, self._settings.checkpoint_blocks)
        head = await self._l1.get_head()
        await asyncio.to_thread(self._take_back_failures)
        await self._claim(head)
        await self._settle(head)
        await self._release_bonds(head)
        for state, count in (await asyncio.to_thread(self._store.jobs.counts)).items():
            COORDINATOR_JOBS.labels(state=state.value).set(count)

    # -- claims -----------------------------------------------------------------------------------------------------

    async def _claim(self, head: L1Header) -> None:
        proposals = await asyncio.to_thread(propose_batches, self._store, self._settings, head.timestamp)
        for proposal in proposals:
            if await self._all_open([member.session.session_id for member in proposal.members]):
                deposit = await self._missing_deposit(proposal)
                await asyncio.to_thread(self._record_claim, proposal, deposit)
                self._manager.notify()

    async def _all_open(self, session_ids: Sequence[int]) -> bool:
        """Whether L1's newest state still has all of them open. If not, the Relayer will say so within its confirmations."""
        for session_id in session_ids:
            status = await self._reader.session_status(session_id)
            if status is not L1SessionStatus.OPEN:
                log.info("not claimed, L1 has decided the session", session=session_id, status=status.name.lower())
                return False
        return True

    async def _missing_deposit(self, proposal: Proposal) -> int:
        """Wei to send with the claim so that its bond can be locked.

        Claims that are on their way are counted in full, though L1 may have locked their bonds already: sending too much only raises the deposit, sending
        too little makes a claim fail.
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
        # A claim that failed is made anew under another key: its jobs count the attempts.
        key = f"claim:{root.hex()}:{max(member.job.attempts for member in members)}"
        data_hash = keccak256(proposal.data) if terms.data_mode is DataMode.ON_DEMAND else ZERO_HASH
        calldata = proposal.data if terms.data_mode is DataMode.CALLDATA else b""
        intent = Intent(
            key=key,
            to=self._settings.zk_relayer,
            data=encode_claim(root, len(members), terms, data_hash, calldata),
            value=deposit,
            blobs=pack_blobs(proposal.data) if terms.data_mode is DataMode.BLOB else (),
        )
        batch = NewBatch(
            claims_root=root,
            terms_hash=terms.hash(),
            data_mode=int(terms.data_mode),
            data=proposal.data,
            intent_key=key,
            leaves=[
                Leaf(index, claim.session_id, claim.encode()) for index, claim in enumerate(claims)
            ],
        )

        def work(tx: Connection) -> int:
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

    # -- settlement -------------------------------------------------------------------------------------------------

    async def _settle(self, head: L1Header) -> None:
        for claim_id in await asyncio.to_thread(self._settleable, head.timestamp):
            todo = await asyncio.to_thread(self._load_claim, claim_id)
            if todo is None:
                continue
            open_jobs = [
                job
                for job in todo.jobs
                if await self._reader.session_status(job.session_id) is L1SessionStatus.OPEN
            ]
            if not open_jobs:
                continue  # L1 decided all of them, the Relayer will say so
            intents = await self._settle_intents(todo, open_jobs)
            await asyncio.to_thread(self._record_settlement, intents)
            self._manager.notify()

    def _settleable(self, l1_time: int) -> list[int]:
        """Claims of this node whose window is over, with sessions left to settle and no dispute about them."""
        jobs, claims = schema.jobs, schema.claims
        query = (
            select(jobs.c.claim_id)
            .select_from(jobs.join(claims, claims.c.claim_id == jobs.c.claim_id))
            .where(
                jobs.c.state == JobState.CLAIMED,
                jobs.c.not_before <= self._store.now(),
                claims.c.status == ClaimStatus.POSTED,
                claims.c.settleable_at <= l1_time,
            )
            .distinct()
            .order_by(jobs.c.claim_id)
        )
        return self._store.read(lambda tx: list(tx.scalars(query)))

    def _load_claim(self, claim_id: int) -> _ClaimToSettle | None:
        """All about a claim; None when no session is left to settle in it (checkpoints settle nothing)."""

        def work(tx: Connection) -> _ClaimToSettle | None:
            claim = self._store.claims.get(claim_id, connection=tx)
            leaves = self._store.claims.leaves(claim_id, connection=tx)
            assert claim is not None and leaves, "jobs refer to claims of this node"
            decoded = [SessionClaim.decode(leaf.claim) for leaf in leaves]
            sessions: dict[int, Session] = {}
            results: dict[int, bytes] = {}
            jobs: list[Job] = []
            for leaf in decoded:
                session = self._store.sessions.get(leaf.session_id, connection=tx)
                assert session is not None, "claims refer to sessions"
                sessions[leaf.session_id] = session
                if leaf.result_hash == ZERO_HASH:
                    continue
                head = self._store.blocks.head(leaf.session_id, connection=tx)
                if head is None or head.result is None or keccak256(head.result) != leaf.result_hash:
                    log.error("a claimed session's chain was replaced", claim=claim_id, session=leaf.session_id)
                    return None
                results[leaf.session_id] = head.result
                job = self._store.jobs.get(leaf.session_id, leaf.first_number, connection=tx)
                if job is not None and job.state is JobState.CLAIMED and job.claim_id == claim_id:
                    jobs.append(job)
            if not jobs:
                return None
            terms = Terms.decode(sessions[decoded[0].session_id].terms)
            header = claim_header(claim, terms)
            return _ClaimToSettle(
                claim, header, tuple(leaves), tuple(decoded), sessions, results, tuple(jobs)
            )

        return self._store.read(work)

    async def _settle_intents(
        self, todo: _ClaimToSettle, open_jobs: Sequence[Job]
    ) -> list[tuple[Intent, list[Job]]]:
        """One transaction for the whole claim where it fits and holds only results, else one for each session."""
        claim_id = todo.claim.claim_id
        attempt = max(job.attempts for job in open_jobs)
        if len(open_jobs) > 1 and all(leaf.result_hash != ZERO_HASH for leaf in todo.claims):
            items = [todo.settlement(index) for index in range(len(todo.claims))]
            data = encode_settle_all(claim_id, todo.header, items)
            if await self._fits(data):
                intent = Intent(key=f"settle:{claim_id}:all:{attempt}", to=self._settings.zk_relayer, data=data)
                return [(intent, list(open_jobs))]
        leaves = [claim.leaf() for claim in todo.claims]
        intents = []
        for job in open_jobs:
            assert job.leaf_index is not None, "claimed jobs have a leaf"
            data = encode_settle(
                claim_id,
                todo.header,
                todo.settlement(job.leaf_index),
                job.leaf_index,
                merkle_proof(leaves, job.leaf_index),
            )
            key = f"settle:{claim_id}:{job.leaf_index}:{job.attempts}"
            intents.append((Intent(key=key, to=self._settings.zk_relayer, data=data), [job]))
        return intents

    async def _fits(self, data: bytes) -> bool:
        """Whether one transaction can do it: within the gas cap and the pools' size."""
        if len(data) > 120_000:
            return False
        try:
            gas = await self._l1.estimate_gas(
                CallRequest(to=self._settings.zk_relayer, data=data, sender=self._manager.address)
            )
        except NodeError as error:
            log.info("a claim's sessions are settled one by one", reason=str(error)[:200])
            return False
        return gas <= SETTLE_ALL_GAS

    def _record_settlement(self, intents: Sequence[tuple[Intent, list[Job]]]) -> None:
        """The intents and their jobs' new state: all or nothing (INVARIANT I7)."""

        def work(tx: Connection) -> None:
            for intent, jobs in intents:
                for job in jobs:
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
        SETTLEMENTS_SENT.inc(len(intents))
        for intent, jobs in intents:
            log.info("settlement recorded", intent=intent.key, sessions=[job.session_id for job in jobs])
