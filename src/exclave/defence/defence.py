"""Answers disputes about this node's claims before their deadlines.

The Relayer tells which disputes there are. Each pass asks L1 how they stand now and takes every one a step further:

    demand    -> the answer's intent -> answered
    challenge -> plan (stored) -> proof (kept by the prover) -> begin, resume on the verifier -> `prove` -> answered
    a leaf without open disputes -> `release`, once nobody can act on the answers any more
    a missed deadline -> `resolve`: its bond is lost either way, and only a dead leaf's session can be claimed anew

Nothing is decided from memory: a pass may be cut off anywhere, and the next one, of whatever process, goes on from what
L1 and the store say (INVARIANT I7).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import Sequence

import structlog
from sqlalchemy import Connection, select

from exclave.coordinator.attempts import Attempts
from exclave.defence.leaf import DefendedLeaf, LeafUndefendable, load_leaf
from exclave.defence.plans import PlannedProof, plan_proofs, uncovered
from exclave.defence.proving import ProofDesk, WantedProof
from exclave.defence.reader import DisputeReader
from exclave.defence.settings import DefenceSettings
from exclave.defence.verification import Verification
from exclave.dispute import accounts, payloads
from exclave.dispute.payloads import DisputeKind, DisputeStatus, LeafState
from exclave.l1.client import L1Client
from exclave.l1.errors import L1Error, NodeError
from exclave.l1.intents import IntentRefused
from exclave.l1.transaction_manager import EthTxManager
from exclave.l1.values import L1Header
from exclave.node.metrics import DISPUTE_ANSWERS, DISPUTE_SECONDS_LEFT, DISPUTES_MISSED, DISPUTES_OPEN
from exclave.prover import Proof, Prover, ProverError
from exclave.prover.replay import prepare
from exclave.relayer.effects import KILLED_BY
from exclave.store import Job, JobState, LeafEvent, SessionStatus, Store, StoredDispute, StoreError, schema

log = structlog.get_logger(__name__)

FAILURES_BEFORE_A_PROOF = 2
"""So many attempts to show a block that failed (it takes more gas than a transaction has), and it is proven instead."""

LeafKey = tuple[int, int]
"""Claim and index."""


class Defence:
    """The passes, and the loop that makes them. On the process that leads."""

    def __init__(
        self, l1: L1Client, store: Store, manager: EthTxManager, settings: DefenceSettings, prover: Prover | None
    ) -> None:
        """`prover`: None where there is none; challenges then go without an answer, and every pass says so."""
        self._l1 = l1
        self._store = store
        self._manager = manager
        self._settings = settings
        self._attempts = Attempts(store, manager, settings.pause)
        self._verification = Verification(l1, self._attempts, manager.address)
        self._desk = ProofDesk(store, prover, settings, manager.address, self.notify) if prover else None
        self._changed = asyncio.Event()
        self._wanted: dict[LeafKey, list[WantedProof]] = {}
        self._missed: set[tuple[int, int, int, int]] = set()
        self._said: set[tuple[str, LeafKey]] = set()

    def notify(self) -> None:
        """There may be work: make the next pass at once. From the event loop's thread."""
        self._changed.set()

    async def run(self) -> None:
        """Make passes until cancelled. L1's outages are waited out."""
        try:
            while True:
                self._changed.clear()
                try:
                    await self.step()
                except L1Error as error:
                    log.warning("L1 can't be reached, disputes wait", error=str(error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.poll_interval):
                        await self._changed.wait()
        finally:
            if self._desk is not None:
                await self._desk.stop()

    async def step(self) -> None:
        """One pass. Raises `L1Error` when L1 doesn't answer."""
        await asyncio.to_thread(self._attempts.look)
        head = await self._l1.get_head()
        disputes: dict[LeafKey, list[StoredDispute]] = defaultdict(list)
        for dispute in await asyncio.to_thread(self._store.disputes.find, unanswered=True):
            disputes[dispute.claim_id, dispute.leaf_index].append(dispute)
        held = await asyncio.to_thread(self._store.disputes.held)
        open_disputes: list[StoredDispute] = []
        leaves = [*disputes, *(key for key in held if key not in disputes)]
        # What was wanted for a leaf that L1 doesn't answer about now still is: it may have cost minutes.
        self._wanted = {key: wanted for key, wanted in self._wanted.items() if key in leaves}
        for key in leaves:
            # INVARIANT I5: one leaf that can't be defended doesn't keep the defence from the others.
            try:
                found, self._wanted[key] = await self._defend(key, disputes.get(key, []), head)
                open_disputes += found
            except NodeError as error:
                log.warning("a leaf can't be defended now", claim=key[0], leaf=key[1], reason=str(error))
            except (L1Error, StoreError):
                raise
            except LeafUndefendable as error:
                self._say_once("undefendable", key, "a leaf can't be defended", reason=str(error))
            except Exception:
                log.exception("a leaf can't be defended", claim=key[0], leaf=key[1])
        if self._desk is not None:
            self._desk.schedule([wanted for of_leaf in self._wanted.values() for wanted in of_leaf])
        DISPUTES_OPEN.set(len(open_disputes))
        nearest = min((dispute.deadline - head.timestamp for dispute in open_disputes), default=float("inf"))
        DISPUTE_SECONDS_LEFT.set(nearest)
        await self._claim_anew()
        await self._withdraw()

    # -- one leaf ---------------------------------------------------------------------------------------------------

    async def _defend(
        self, key: LeafKey, known: Sequence[StoredDispute], head: L1Header
    ) -> tuple[list[StoredDispute], list[WantedProof]]:
        """The disputes that are open on L1 and can still be answered, and the proofs that they need."""
        leaf = await asyncio.to_thread(load_leaf, self._store, *key)
        reader = DisputeReader(self._l1, leaf.header.dispute_game)
        state = await reader.leaf_state(*key)
        if state.killed or not state.held:
            return [], []  # the Relayer will say so
        if state.open == 0:
            await self._release(leaf, state, head)
            return [], []
        open_disputes = []
        for dispute in known:
            now = await reader.dispute(*key, DisputeKind(dispute.kind), dispute.number)
            if now.status is not DisputeStatus.OPEN:
                continue  # answered, the Relayer will say so
            dispute = dataclasses.replace(dispute, deadline=now.deadline)
            if head.timestamp > now.deadline:
                self._miss(dispute)
                await self._resolve(leaf, dispute)
            else:
                open_disputes.append(dispute)
        by_proof = [dispute for dispute in open_disputes if not await self._answer(leaf, dispute)]
        return open_disputes, await self._answer_by_proof(leaf, state, by_proof) if by_proof else []

    async def _resolve(self, leaf: DefendedLeaf, dispute: StoredDispute) -> None:
        """Have L1 say that a deadline was missed. INVARIANT I2: whoever opened the dispute may never do it, and until
        somebody does, the leaf is held and its session isn't claimed anew.
        """
        kind = DisputeKind(dispute.kind)
        data = payloads.encode_resolve(leaf.name, kind, dispute.number)
        series = f"resolve:{leaf.key}:{kind.name.lower()}:{dispute.number}"
        if await asyncio.to_thread(self._attempts.record_if_due, series, leaf.header.dispute_game, data):
            self._manager.notify()
            log.info("a claim is given up", claim=leaf.claim.claim_id, leaf=leaf.index)

    async def _answer(self, leaf: DefendedLeaf, dispute: StoredDispute) -> bool:
        """Answer a demand from the store; False if it takes a proof."""
        kind = DisputeKind(dispute.kind)
        if kind is DisputeKind.CHALLENGE:
            return False
        series = f"answer:{leaf.key}:{kind.name.lower()}:{dispute.number}"
        if kind is DisputeKind.BLOCK:
            failures = await asyncio.to_thread(self._attempts.failures, series)
            if failures >= FAILURES_BEFORE_A_PROOF:
                return False
        if not await asyncio.to_thread(self._attempts.is_due, series):
            return True
        data = await asyncio.to_thread(_answer_data, leaf, kind, dispute.number)
        try:
            due = await asyncio.to_thread(
                self._attempts.record_if_due, series, leaf.header.dispute_game, data, dispute.deadline
            )
        except IntentRefused:
            if kind is DisputeKind.BLOCK:
                return False  # too large for a transaction
            raise
        if due:
            self._recorded(leaf, kind, [dispute.number])
        return True

    async def _answer_by_proof(
        self, leaf: DefendedLeaf, state: LeafState, disputes: Sequence[StoredDispute]
    ) -> list[WantedProof]:
        """Take proofs a step further; returns those that are wanted."""
        key = (leaf.claim.claim_id, leaf.index)
        if self._desk is None:
            self._say_once("prover", key, "a claim is challenged and there is no prover: its bond will be lost")
            return []
        first, session_id = leaf.content.first_number, leaf.session.session_id
        numbers = [dispute.number for dispute in disputes]
        plans = await asyncio.to_thread(self._plans, leaf, numbers, state.proven_to)
        chosen: dict[PlannedProof, list[StoredDispute]] = {}
        for dispute in disputes:
            able = [plan for plan in plans if plan.covers(dispute.number, first, state.proven_to)]
            used = [plan for plan in able if plan in chosen]
            ready = [plan for plan in able if self._desk.finished(session_id, plan.start, plan.end)]
            plan = (used or ready or sorted(able, key=lambda plan: plan.end - plan.start))[0]
            chosen.setdefault(plan, []).append(dispute)
        wanted = []
        for plan, answered in chosen.items():
            deadline = min(dispute.deadline for dispute in answered)
            wanted.append(WantedProof(session_id, plan.start, plan.end, deadline, leaf.header.claim_bond))
            proof = self._desk.finished(session_id, plan.start, plan.end)
            if proof is not None:
                try:
                    await self._bring(leaf, plan, proof, answered, deadline)
                except ProverError as error:
                    self._say_once("refused", key, "L1 doesn't take a proof", reason=str(error))
        return wanted

    def _plans(self, leaf: DefendedLeaf, numbers: Sequence[int], proven_to: int) -> list[PlannedProof]:
        """All plans of a leaf; what none of them answers is planned first."""
        key, first = (leaf.claim.claim_id, leaf.index), leaf.content.first_number

        def work(tx: Connection) -> list[PlannedProof]:
            plans = [PlannedProof(*plan) for plan in self._store.disputes.plans(*key, connection=tx)]
            plans = [plan for plan in plans if first <= plan.start < plan.end <= leaf.content.last_number]
            missing = uncovered(numbers, plans, first, proven_to)
            for plan in plan_proofs(missing, first, proven_to):
                self._store.disputes.plan(*key, plan.start, plan.end, connection=tx)
                plans.append(plan)
            return plans

        return self._store.run(work)

    async def _bring(
        self, leaf: DefendedLeaf, plan: PlannedProof, proof: Proof, answered: Sequence[StoredDispute], deadline: int
    ) -> None:
        """A step of a finished proof on L1: verified first, then shown to the dispute contract."""
        if not await self._verification.advance(leaf.terms.verifier, proof, deadline):
            return
        series = f"prove:{leaf.key}:{plan.start}:{plan.end}"
        if not await asyncio.to_thread(self._attempts.is_due, series):
            return

        def numbers(kind: DisputeKind) -> list[int]:
            return sorted(dispute.number for dispute in answered if dispute.kind == kind)

        def encode() -> bytes:
            return payloads.encode_prove(
                leaf.shown,
                leaf.terms,
                leaf.shown_hash(plan.start),
                leaf.shown_hash(plan.end),
                proof,
                challenges=numbers(DisputeKind.CHALLENGE),
                blocks=numbers(DisputeKind.BLOCK),
            )

        data = await asyncio.to_thread(encode)
        game = leaf.header.dispute_game
        if await asyncio.to_thread(self._attempts.record_if_due, series, game, data, deadline):
            self._recorded(leaf, DisputeKind.CHALLENGE, [dispute.number for dispute in answered])

    async def _release(self, leaf: DefendedLeaf, state: LeafState, head: L1Header) -> None:
        """Free a leaf once nobody can act on the answers any more."""
        if head.timestamp <= state.until:
            return
        data = payloads.encode_release(leaf.name)
        series = f"free:{leaf.key}"
        if await asyncio.to_thread(self._attempts.record_if_due, series, leaf.header.dispute_game, data):
            self._manager.notify()
            log.info("a leaf is to be free again", claim=leaf.claim.claim_id, leaf=leaf.index)

    # -- what is lost, and what is won ------------------------------------------------------------------------------

    async def _claim_anew(self) -> None:
        """Claim sessions again whose claim died of silence, if what was claimed is right and can be proven now."""
        if self._desk is None or not self._settings.claims_anew:
            return
        for job in await asyncio.to_thread(self._died_of_silence):
            assert job.last_number is not None, "claimed jobs have a last block"
            try:
                await asyncio.to_thread(
                    prepare,
                    self._store,
                    job.session_id,
                    job.first_number + 1,
                    job.last_number,
                    l1_chain_id=self._settings.l1_chain_id,
                    zk_relayer=self._settings.zk_relayer,
                    prover=self._manager.address,
                )
            except ProverError as error:
                self._say_once("anew", (job.session_id, job.first_number), "not claimed anew", reason=str(error))
                continue
            if await asyncio.to_thread(self._store.jobs.retry, job.session_id, job.first_number):
                log.warning("claimed anew after a dispute without an answer", session=job.session_id)

    def _died_of_silence(self) -> list[Job]:
        jobs, sessions = schema.jobs, schema.sessions
        query = (
            select(jobs.c.session_id, jobs.c.first_number)
            .join(sessions, sessions.c.session_id == jobs.c.session_id)
            .where(
                jobs.c.state == JobState.FAILED,
                jobs.c.error.startswith(KILLED_BY),
                sessions.c.status == SessionStatus.OPEN,
                sessions.c.refusal.is_(None),
            )
        )

        def work(tx: Connection) -> list[Job]:
            found = []
            for session_id, first_number in tx.execute(query).all():
                job = self._store.jobs.get(session_id, first_number, connection=tx)
                if job is None or job.claim_id is None or job.leaf_index is None:
                    continue
                standing = self._store.disputes.standing(job.claim_id, connection=tx).get(job.leaf_index)
                deaths = self._store.disputes.deaths(session_id, connection=tx)
                silent = standing is not None and standing.cause is LeafEvent.UNPROVEN
                if silent and deaths <= self._settings.claims_anew:
                    found.append(job)
            return found

        return self._store.read(work)

    async def _withdraw(self) -> None:
        """Take what disputes brought, once it is worth a transaction."""
        if not self._settings.withdraw_above:
            return
        address = self._manager.address
        for game in self._settings.dispute_games:
            try:
                available = await DisputeReader(self._l1, game).available_deposit(address)
            except NodeError as error:
                log.debug("a deposit isn't known now", contract="0x" + game.hex(), reason=str(error))
                continue
            if available < self._settings.withdraw_above:
                continue
            data = accounts.encode_withdraw(available, address)
            if await asyncio.to_thread(self._attempts.record_if_due, f"withdraw:{game.hex()}", game, data):
                self._manager.notify()
                log.info("what disputes brought is withdrawn", wei=available)

    # -- reports ----------------------------------------------------------------------------------------------------

    def _recorded(self, leaf: DefendedLeaf, kind: DisputeKind, numbers: Sequence[int]) -> None:
        self._manager.notify()
        DISPUTE_ANSWERS.labels(kind=kind.name.lower()).inc()
        log.info(
            "answer recorded", claim=leaf.claim.claim_id, leaf=leaf.index, kind=kind.name.lower(), numbers=list(numbers)
        )

    def _miss(self, dispute: StoredDispute) -> None:
        name = (dispute.claim_id, dispute.leaf_index, dispute.kind, dispute.number)
        if name not in self._missed:
            self._missed.add(name)
            DISPUTES_MISSED.inc()
            log.error(
                "a dispute had no answer in time: the claim's bond is lost",
                claim=dispute.claim_id,
                leaf=dispute.leaf_index,
                kind=DisputeKind(dispute.kind).name.lower(),
                number=dispute.number,
            )

    def _say_once(self, what: str, key: LeafKey, text: str, **fields: str) -> None:
        if (what, key) not in self._said:
            self._said.add((what, key))
            log.error(text, claim=key[0], leaf=key[1], **fields)


def _answer_data(leaf: DefendedLeaf, kind: DisputeKind, number: int) -> bytes:
    match kind:
        case DisputeKind.LEAF:
            return leaf.answer_leaf()
        case DisputeKind.HASHES:
            return leaf.answer_hashes(number)
        case _:
            return leaf.answer_block(number)
