"""The watchtower's passes: follow L1, review what was claimed, act on what is wrong, collect what was won.

Each pass looks at L1 and at the database anew and does what is due; it may be cut off anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlalchemy import select

from exclave.challenger import metrics
from exclave.challenger.board import UNDISPUTED, DisputeReader, LeafBoard, read_account
from exclave.challenger.data import DataMissing, DataSources
from exclave.challenger.execution import Executor
from exclave.challenger.hand import Hand, LeafKey
from exclave.challenger.leaves import OLDEST_SEED_BLOCK, RECORD_SEEDS_AFTER, LeafViews, Watched
from exclave.challenger.preconfirmations import Preconfirmations, read_preconfirmation
from exclave.challenger.proving import FaultProofs
from exclave.challenger.review import ClaimVerdict, Review, Reviewer
from exclave.challenger.strategy import LeafVerdict, LeafView, Plan, Refutation, Step, plan
from exclave.dispute.accounts import encode_record_block_hash, encode_report_equivocation, encode_withdraw
from exclave.dispute.payloads import (
    DisputeKind,
    DisputeStatus,
    LeafName,
    encode_contradict,
    encode_prove,
    encode_prove_fault,
)
from exclave.l1.client import L1Client
from exclave.l1.errors import L1Error
from exclave.l1.values import L1Header
from exclave.protocol import ClaimHeader, SessionClaim, Terms
from exclave.protocol.constants import ZERO_ADDRESS
from exclave.prover import ProofRequest, Verdict
from exclave.relayer.relayer import Relayer
from exclave.rpc.client import RpcClient, RpcFailure
from exclave.store import Claim, ClaimStatus, Session, SessionStatus, Store, schema

log = structlog.get_logger(__name__)

HEADER_BYTES = 8
"""Of the hash of a claim's header, in the keys of intents."""

REVIEWS_AT_ONCE = 4
"""Claims that are executed at one time."""

FINAL_AFTER = 64
"""L1 blocks after which what happened to a leaf is taken for final."""

LONGEST_RETRY = 600.0
"""Seconds after which what couldn't be reviewed is tried again, at the latest."""


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """`dispute_games`: the dispute contracts that are trusted with bonds. Anybody can deploy one whose rules give bonds
    away, so no other is sent any. `patience`: the share of a claim's window for which its data is looked for before it
    is demanded on L1. `data_retry`: before it is looked for again, first.
    `review_time`: how long a pass waits for a review, which goes on beside the next passes.
    `collect_above`: wei from which on a deposit is withdrawn; None: never. Times in seconds.
    """

    zk_relayer: bytes
    l1_chain_id: int
    dispute_games: tuple[bytes, ...] = ()
    rpc_urls: tuple[str, ...] = ()
    preconfirmations: Path | None = None
    patience: float = 0.25
    collect_above: int | None = None
    poll_interval: float = 12.0
    data_retry: float = 30.0
    review_time: float = 5.0


@dataclass
class LeafReport:
    """How a doubted leaf stands, for people."""

    index: int
    verdict: LeafVerdict
    reason: str


@dataclass
class ClaimReport:
    """How a claim stands, for people. `ends_at`: when its window ends, in L1 seconds."""

    claim_id: int
    claimant: bytes
    dispute_game: bytes
    ends_at: int
    verdict: ClaimVerdict
    reason: str
    leaves: list[LeafReport] = field(default_factory=list)

    @property
    def disagrees(self) -> bool:
        """Whether something is wrong with it."""
        wrong = any(leaf.verdict in (LeafVerdict.WRONG, LeafVerdict.DEAD) for leaf in self.leaves)
        return wrong or self.verdict is ClaimVerdict.DISAGREES


class Watchtower:
    """All parts together. Without a `hand` it only reports."""

    def __init__(
        self,
        l1: L1Client,
        store: Store,
        relayer: Relayer,
        executor: Executor,
        sources: DataSources,
        settings: WatchSettings,
        hand: Hand | None = None,
        proofs: FaultProofs | None = None,
    ) -> None:
        self._l1 = l1
        self._store = store
        self._relayer = relayer
        self._executor = executor
        self._sources = sources
        self._settings = settings
        self._hand = hand
        self._proofs = proofs
        self._reviewer = Reviewer(store, executor, sources.kept)
        self._views = LeafViews(l1, store, executor, self._reviewer, settings.rpc_urls)
        self._me = hand.address if hand is not None else ZERO_ADDRESS
        self._signed = Preconfirmations(settings.l1_chain_id, settings.zk_relayer)
        self._watched: dict[int, Watched] = {}
        self._readers: dict[bytes, DisputeReader] = {}
        self._executing = asyncio.Semaphore(REVIEWS_AT_ONCE)
        self._asked: set[tuple[int, int]] = set()
        """The blocks whose signatures were asked for."""
        self._own: list[LeafKey] = []
        self._over_since: dict[LeafKey, int] = {}
        self._told: set[LeafKey] = set()
        self._finished: set[LeafKey] = set()
        """Leaves of ours about which nothing is left to do: a memory only, found out again after a restart."""
        self.reports: dict[int, ClaimReport] = {}
        """Of the claims that can still be disputed, or are in dispute; by their ids."""

    # -- passes -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Passes until cancelled. L1's outages are waited out."""
        pause = self._settings.poll_interval
        while True:
            try:
                await self.step()
                pause = self._settings.poll_interval
            except L1Error as error:
                metrics.ERRORS.labels(error=type(error).__name__).inc()
                log.warning("L1 can't be read now", reason=str(error), retry_in=pause)
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        """Stop the reviews that go on beside the passes."""
        self._executor.stop()
        tasks = [item.reviewing for item in self._watched.values() if item.reviewing is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def step(self) -> None:
        """One pass. Raises `L1Error`, `StoreError`, `FatalError`."""
        while await self._relayer.step():
            pass
        head = await self._l1.get_head()
        if self._hand is not None:
            self._hand.begin_pass()
        if self._settings.preconfirmations is not None:
            await asyncio.to_thread(self._signed.read_directory, self._settings.preconfirmations)
        before = self._watched
        watched = await asyncio.to_thread(self._choose, head.timestamp)
        for item in before.values():
            if item.reviewing is not None and item is not self._watched.get(item.claim.claim_id):
                item.reviewing.cancel()  # its window is over, or L1 has another claim of that number
        reports: dict[int, ClaimReport] = {}
        for item in watched:
            # INVARIANT I5: a claim that can't be looked at keeps nobody from looking at the others.
            try:
                reports[item.claim.claim_id] = await self._look(item, head)
            except L1Error:
                raise
            except Exception as error:
                metrics.ERRORS.labels(error=type(error).__name__).inc()
                log.exception("a claim can't be looked at", claim=item.claim.claim_id)
                reports[item.claim.claim_id] = self._report(item, ClaimVerdict.UNREVIEWABLE, f"{error}", [])
        self.reports = reports
        await self._report_equivocations()
        await self._record_seed_blocks(head)
        await self._tell(head, watched)
        if self._settings.collect_above is not None:
            await self.collect(self._settings.collect_above)

    def _choose(self, now: int) -> list[Watched]:
        """The claims to look at: in their windows, held, or with a dispute of ours that isn't over. Oldest first."""
        claims = schema.claims.c
        query = select(claims.claim_id).where((claims.settleable_at > now) | (claims.status == ClaimStatus.HELD))
        ids = set(self._store.read(lambda tx: list(tx.scalars(query))))
        self._own = self._hand.leaves() if self._hand is not None else []
        ids |= {leaf.claim_id for leaf in self._own if leaf not in self._finished}
        found = []
        for claim_id in sorted(ids):
            claim = self._store.claims.get(claim_id)
            if claim is None:
                continue
            known = self._watched.get(claim_id)
            if known is None or known.claim.l1_block_hash != claim.l1_block_hash:
                known = Watched(claim, ClaimHeader.decode(claim.header))
            known.claim = claim
            found.append(known)
        self._watched = {item.claim.claim_id: item for item in found}
        return found

    # -- one claim --------------------------------------------------------------------------------------------------

    async def _look(self, item: Watched, head: L1Header) -> ClaimReport:
        terms = await asyncio.to_thread(self._terms, item.claim)
        if terms is None:
            return self._report(item, ClaimVerdict.UNREVIEWABLE, "its terms were never registered: it can't settle", [])
        review = await self._review(item, terms)
        game = item.header.dispute_game
        if not any(game):
            return self._report(item, review.verdict, f"{review.reason} (it can't be disputed)", [])
        doubted = await self._doubted(item, review, head.timestamp)
        suspected = await self._suspected(review, terms)
        own = self._own_leaves(item)
        leaves: list[LeafReport] = []
        if doubted or suspected or own:
            reader = await self._reader(game)
            if reader is None:
                return self._report(item, review.verdict, f"{review.reason}; its dispute contract isn't one", [])
            boards = await reader.boards(item.claim.claim_id, item.claim.l1_block_number, head.number)
            for index in dict.fromkeys([*doubted, *suspected, *own]):
                board = boards.get(index) or LeafBoard(UNDISPUTED)
                leaves.append(await self._look_at_leaf(item, terms, review, index, reader, board, head))
        verdict = review.verdict
        if verdict is ClaimVerdict.MISSING and any(leaf.verdict is LeafVerdict.WRONG for leaf in leaves):
            verdict = ClaimVerdict.DISAGREES
        return self._report(item, verdict, review.reason, leaves)

    def _report(self, item: Watched, verdict: ClaimVerdict, reason: str, leaves: list[LeafReport]) -> ClaimReport:
        claim = item.claim
        return ClaimReport(
            claim.claim_id, claim.claimant, item.header.dispute_game, item.window_end, verdict, reason, leaves
        )

    def _terms(self, claim: Claim) -> Terms | None:
        encoded = self._store.terms.get(claim.terms_hash)
        return None if encoded is None else Terms.decode(encoded)

    async def _review(self, item: Watched, terms: Terms) -> Review:
        """The verdict, found once; what couldn't be reviewed is tried again."""
        if item.review is not None and item.review.verdict in (ClaimVerdict.AGREES, ClaimVerdict.DISAGREES):
            return item.review
        if item.review is not None and self._store.now() < item.next_try:
            return item.review
        if item.reviewing is None:
            item.reviewing = asyncio.create_task(self._find_out(item, terms), name=f"claim {item.claim.claim_id}")
        # INVARIANT I5: a claim whose execution takes long doesn't keep the others from theirs.
        patience = self._settings.review_time
        done, _ = await asyncio.wait({item.reviewing}, timeout=None if math.isinf(patience) else patience)
        if not done:
            return Review(ClaimVerdict.PENDING, "its sessions are being executed")
        task, item.reviewing = item.reviewing, None
        item.review = task.result()
        return item.review

    async def _find_out(self, item: Watched, terms: Terms) -> Review:
        claim = item.claim
        agreed = await asyncio.to_thread(self._reviewer.agreed, claim)
        if agreed is not None:
            return Review(ClaimVerdict.AGREES, "it is what its data gives", agreed)
        pause = min(self._settings.data_retry * 2 ** min(item.tries, 16), LONGEST_RETRY)
        item.next_try, item.tries = self._store.now() + pause, item.tries + 1
        try:
            data = await self._sources.fetch(claim, terms.data_mode)
        except DataMissing as error:
            review = Review(ClaimVerdict.MISSING, f"its data can't be had: {error}")
        else:
            async with self._executing:
                review = await asyncio.to_thread(self._reviewer.review, claim, data)
        if not item.told or review.verdict in (ClaimVerdict.AGREES, ClaimVerdict.DISAGREES):
            item.told = True
            level = log.info if review.verdict is ClaimVerdict.AGREES else log.error
            level("claim reviewed", claim=claim.claim_id, verdict=review.verdict.value, reason=review.reason)
        if review.verdict is ClaimVerdict.DISAGREES:
            metrics.DISAGREEMENTS.inc()
        return review

    async def _doubted(self, item: Watched, review: Review, now: int) -> Iterable[int]:
        """The leaves that have to be looked at one by one."""
        if review.verdict is ClaimVerdict.AGREES:
            return ()
        if review.verdict is not ClaimVerdict.DISAGREES:
            if not await asyncio.to_thread(self._reviewer.concerned, item.claim):
                return ()
            if now < item.header.claimed_at + self._settings.patience * item.header.challenge_window:
                return ()
        # What is known to be wrong first: the budget may not do for all.
        others = [index for index in range(item.header.count) if index not in review.suspects]
        return [*(index for index in review.suspects if index < item.header.count), *others]

    def _own_leaves(self, item: Watched) -> list[int]:
        """Those with a dispute of ours that isn't over."""
        header = item.header_hash[:HEADER_BYTES]
        return [
            leaf.index
            for leaf in self._own
            if leaf.claim_id == item.claim.claim_id and leaf.header == header and leaf not in self._finished
        ]

    # -- one leaf ---------------------------------------------------------------------------------------------------

    async def _look_at_leaf(
        self,
        item: Watched,
        terms: Terms,
        review: Review,
        index: int,
        reader: DisputeReader,
        board: LeafBoard,
        head: L1Header,
    ) -> LeafReport:
        name = LeafName(item.claim.claim_id, index, item.header)
        key = LeafKey(reader.game, item.header_hash[:HEADER_BYTES], name.claim_id, index)
        view, shown_blocks = await self._views.view(item, terms, review, name, reader, board, head, self._me)
        found = plan(view)
        steps = list(found.steps)
        if (contradiction := self._contradiction(view, terms)) is not None:
            number, step = contradiction
            steps = [step]
            found = Plan(LeafVerdict.WRONG, f"the operator has signed another block {number}", (step,))
        elif found.refutation is not None:
            steps += await self._refute(view, terms, found.refutation, shown_blocks, str(key))
        if board.state.killed and self._proofs is not None:
            self._proofs.forget(str(key))
        await self._take(reader, key, steps, head.timestamp)
        self._note_end(view, found, key, head.number)
        return LeafReport(index, found.verdict, found.reason)

    async def _take(self, reader: DisputeReader, key: LeafKey, steps: Sequence[Step], now: int) -> None:
        if self._hand is None:
            return
        if reader.game not in self._settings.dispute_games:
            if steps and key not in self._told:
                self._told.add(key)
                log.error(
                    "nothing is done: this dispute contract isn't among those that are trusted with bonds",
                    dispute_game=reader.game,
                    claim=key.claim_id,
                    leaf=key.index,
                )
            return
        for step in steps:
            await self._hand.take(reader, key, step, now)

    def _note_end(self, view: LeafView, found: Plan, key: LeafKey, block: int) -> None:
        """Remember that nothing is left to do about a leaf, so that it isn't looked at for ever. Not before L1 has had
        time to reorganise.
        """
        over = view.state.killed or (view.now > view.window_end and not view.state.held)
        ours = any(
            dispute.opener == view.me and dispute.status is DisputeStatus.OPEN for dispute in view.disputes.values()
        )
        if not over or ours or found.steps:
            self._over_since.pop(key, None)
        elif block - self._over_since.setdefault(key, block) >= FINAL_AFTER:
            self._finished.add(key)

    async def _record_seed_blocks(self, head: L1Header) -> None:
        """Have L1 remember the blocks that the seeds of long sessions come from, before it forgets their hashes.

        INVARIANT I1: else a false seed could be claimed once they are forgotten, and with it another game.
        """
        if self._hand is None:
            return
        for session in await asyncio.to_thread(self._long_sessions, head.number):
            game = Terms.decode(session.terms).dispute_game
            reader = await self._reader(game) if game in self._settings.dispute_games else None
            number = session.opened_block + 1
            if reader is None or await reader.is_recorded(number):
                continue
            header = await self._l1.get_block(number)
            if header is not None:
                facts = await reader.facts()
                series = f"record:{facts.hex()}:{number}:{header.hash.hex()}"
                await self._hand.call(series, facts, encode_record_block_hash(number))

    def _long_sessions(self, head: int) -> list[Session]:
        """Open sessions that can be executed here, and whose seed's block L1 is about to forget."""
        table = schema.sessions.c
        query = select(table.session_id).where(
            table.status == SessionStatus.OPEN,
            table.genesis_hash.is_not(None),
            table.opened_block + 1 < head - RECORD_SEEDS_AFTER,
            table.opened_block + 1 > head - OLDEST_SEED_BLOCK,
        )
        found = [
            self._store.sessions.get(session_id) for session_id in self._store.read(lambda tx: tx.scalars(query).all())
        ]
        return [session for session in found if session is not None]

    # -- proofs and signatures --------------------------------------------------------------------------------------

    async def _refute(
        self,
        view: LeafView,
        terms: Terms,
        refutation: Refutation,
        shown: dict[int, tuple[bytes, tuple[bytes, ...]]],
        name: str,
    ) -> list[Step]:
        """What kills the leaf at once, and costs the operator's stake, once it was proven: that a block which was shown
        isn't valid, or that a valid block says something else than the leaf.

        Not before the challenge is open: it keeps the leaf from settling while the proof is made.
        """
        if view.status(DisputeKind.CHALLENGE, refutation.challenged) is not DisputeStatus.OPEN:
            return []
        if self._proofs is None or self._hand is None or view.chain is None or view.shown is None:
            return []
        number, chain, hashes, me = refutation.proven, view.chain, view.hashes, self._hand.address
        if hashes is None or hashes.get(number - 1) is None or hashes.get(number) is None:
            return []
        parent, target = hashes.show(number - 1), hashes.show(number)

        async def prepare() -> ProofRequest:
            if number in shown:
                return await asyncio.to_thread(self._executor.fault_request, chain, *shown[number], me)
            return await asyncio.to_thread(self._executor.last_request, chain.cut(number), me)

        if number not in shown and chain.hash_of(number) != hashes.get(number):
            return []  # the claimed block wasn't shown
        proof = self._proofs.verified(name, terms.verifier, prepare)
        if proof is None:
            return []
        if proof.statement.verdict is Verdict.INVALID:
            return [Step("disprove:block", encode_prove_fault(view.shown, terms, parent, target, proof))]
        return [Step("disprove:end", encode_prove(view.shown, terms, parent, target, proof))]

    async def _suspected(self, review: Review, terms: Terms) -> list[int]:
        """Leaves of a claim that agrees with its data, of sessions of which the operator has signed something: whether
        that is the same is looked at leaf by leaf.
        """
        if review.verdict is not ClaimVerdict.AGREES:
            return []
        await asyncio.to_thread(self._ask_preconfirmations, review.leaves)
        return [
            index
            for index, leaf in enumerate(review.leaves)
            if any(
                leaf.first_number <= signed.number <= leaf.last_number
                and (signed.number, signed.block_hash) != (leaf.last_number, leaf.last_hash)
                for signed in self._signed.of_session(leaf.session_id, terms.operator)
            )
        ]

    def _contradiction(self, view: LeafView, terms: Terms) -> tuple[int, Step] | None:
        """What the operator has signed and the leaf contradicts: it dies of that at once, and costs no bond."""
        alive = not view.state.killed and (view.state.held or view.now <= view.window_end)
        if view.session is None or view.shown is None or view.hashes is None or not alive:
            return None
        for signed in self._signed.of_session(view.session.session_id, terms.operator):
            claimed = view.hashes.get(signed.number) if signed.number >= view.shown.content.first_number else None
            if claimed is not None and claimed != signed.block_hash:
                config = view.session.configuration()
                data = encode_contradict(view.shown, terms, config, view.hashes.show(signed.number), signed)
                return signed.number, Step(f"contradict:{signed.number}", data)
        return None

    def _ask_preconfirmations(self, leaves: Sequence[SessionClaim]) -> None:
        """What the operators' nodes say they have signed of the last blocks."""
        for leaf in leaves:
            if (leaf.session_id, leaf.last_number) in self._asked:
                continue
            self._asked.add((leaf.session_id, leaf.last_number))
            for url in self._settings.rpc_urls:
                with contextlib.suppress(RpcFailure, ValueError):
                    answer = RpcClient(url).call(
                        "zkcop_getPreconfirmation", hex(leaf.session_id), hex(leaf.last_number)
                    )
                    self._signed.add(read_preconfirmation(answer))

    async def _report_equivocations(self) -> None:
        """Two signatures of one number cost the operator's stake, claim or not."""
        if self._hand is None:
            return
        for session_id in self._signed.sessions():
            session = await asyncio.to_thread(self._store.sessions.get, session_id)
            if session is None:
                continue
            terms = Terms.decode(session.terms)
            if terms.dispute_game not in self._settings.dispute_games:
                continue
            for one, other in self._signed.contradictions(session_id, terms.operator):
                reader = await self._reader(terms.dispute_game)
                if reader is None or not await reader.slashable(terms.operator, session_id):
                    break
                data = encode_report_equivocation(one, other)
                series = f"equivocation:{terms.dispute_game.hex()}:{session_id}:{terms.operator.hex()}"
                await self._hand.call(series, await reader.stakes(), data)
                break

    # -- collecting -------------------------------------------------------------------------------------------------

    async def collect(self, above: int = 0) -> int:
        """Withdraw deposits of more than `above` wei; returns how much there was. Raises `L1Error`."""
        if self._hand is None:
            return 0
        me, total = self._hand.address, 0
        for contract in await self._purses():
            account = await read_account(self._l1, contract, me)
            metrics.WITHDRAWABLE.labels(contract="0x" + contract.hex()).set(account.available / 10**18)
            if account.available > above:
                total += account.available
                await self._hand.repeat(
                    f"withdraw:{contract.hex()}:{me.hex()}", contract, encode_withdraw(account.available, me)
                )
        return total

    async def _purses(self) -> list[bytes]:
        """The contracts in which a watchtower may have deposits."""
        purses = [self._settings.zk_relayer]
        for game in self._settings.dispute_games:
            reader = await self._reader(game)
            if reader is not None:
                purses += [game, await reader.stakes()]
        return purses

    # -- parts ------------------------------------------------------------------------------------------------------

    async def _reader(self, game: bytes) -> DisputeReader | None:
        """The dispute contract at that address, None if there is none of this ZkRelayer."""
        if game not in self._readers:
            reader = DisputeReader(self._l1, game)
            try:
                if await reader.relayer() != self._settings.zk_relayer:
                    return None
                await reader.rules()
            except L1Error as error:
                log.warning("a dispute contract can't be read", dispute_game=game, reason=str(error))
                return None
            self._readers[game] = reader
        return self._readers[game]

    async def _tell(self, head: L1Header, watched: Sequence[Watched]) -> None:
        verdicts = Counter(report.verdict for report in self.reports.values())
        leaves = Counter(leaf.verdict for report in self.reports.values() for leaf in report.leaves)
        for verdict in ClaimVerdict:
            metrics.CLAIMS.labels(verdict=verdict.value).set(verdicts[verdict])
        for standing in LeafVerdict:
            metrics.LEAVES.labels(verdict=standing.value).set(leaves[standing])
        near = 0
        for item in watched:
            report = self.reports[item.claim.claim_id]
            left = item.window_end - head.timestamp
            decided = report.verdict is ClaimVerdict.AGREES or any(
                leaf.verdict is LeafVerdict.DEAD for leaf in report.leaves
            )
            if not decided and 0 <= left < item.header.challenge_window / 4:
                near += 1
                if item.warned:
                    continue
                item.warned = True
                log.error(
                    "a claim's window ends soon, and it isn't reviewed, or isn't defeated",
                    claim=item.claim.claim_id,
                    verdict=report.verdict.value,
                    seconds=left,
                )
        metrics.UNREVIEWED_NEAR_END.set(near)
        if self._hand is not None:
            metrics.BUDGET_EXHAUSTED.set(self._hand.waiting_for_budget)
            risk = 0
            for game in self._settings.dispute_games:
                reader = await self._reader(game)
                risk += await self._hand.at_risk(reader) if reader is not None else 0
            metrics.BONDS_AT_RISK.set(risk / 10**18)
        metrics.LAST_PASS.set_to_current_time()
