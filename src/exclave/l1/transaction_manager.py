"""EthTxManager: every transaction that the node sends to L1.

One manager owns a key's nonces. It works in steps; each step looks at L1 first and then does what is due: follows what
was mined, re-sends what was dropped, replaces what is stuck, sends what is new. A step may be cut off anywhere, by a
crash or by L1: all that it knows is in the store, and the next step goes on (INVARIANT I7, see `exclave.l1.intents`).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import structlog

from exclave.l1 import blobs as blob_data
from exclave.l1.client import AccountState, CallRequest, L1Client
from exclave.l1.errors import (
    BlobFeeCapTooLow,
    BlobLimits,
    BlobPoolReserved,
    CallFailed,
    ExceedsBlockGasLimit,
    ExecutionReverted,
    FeeCapTooLow,
    FeeExceedsNodeCap,
    GasLimitExceeded,
    InsufficientFunds,
    IntrinsicGasTooLow,
    InvalidTransaction,
    L1Error,
    L1Unavailable,
    NodeError,
    NonceTooHigh,
    NonceTooLow,
    RateLimited,
    ReplacementUnderpriced,
    StateUnavailable,
    TipAboveFeeCap,
    TransactionTooLarge,
    TxPoolFull,
    Underpriced,
)
from exclave.l1.fees import FeeSettings, Suggestion, gas_limit_for, replacement_fees, suggest_fees
from exclave.l1.intents import (
    FINAL_STATES,
    OPEN_STATES,
    Attempt,
    Intent,
    IntentRecord,
    IntentRefused,
    IntentState,
    IntentStore,
    KeyInUse,
    KeyLeased,
    Purpose,
    SignerLease,
    UnknownIntent,
)
from exclave.l1.signers import Signer, SignerError
from exclave.l1.transactions import (
    GAS_PER_BLOB,
    MAX_CALLDATA_BYTES,
    MAX_TRANSACTION_GAS,
    Fees,
    Transaction,
    transaction_hash,
)
from exclave.l1.values import L1Header, L1Receipt, to_hex

log = structlog.get_logger(__name__)

TRANSFER_GAS = 21_000

# A transaction as such is at fault: offering it again is useless, its nonce must be used up otherwise.
_UNSENDABLE = (
    BlobLimits,
    ExceedsBlockGasLimit,
    GasLimitExceeded,
    IntrinsicGasTooLow,
    InvalidTransaction,
    TransactionTooLarge,
)
_PAYS_TOO_LITTLE = (BlobFeeCapTooLow, FeeCapTooLow, ReplacementUnderpriced, TipAboveFeeCap, Underpriced)
_WAITS = (BlobPoolReserved, NonceTooHigh, TxPoolFull)


@dataclass(frozen=True, slots=True)
class ManagerSettings:
    """Times in seconds, distances in blocks."""

    confirmations: int = 6
    """Blocks, the transaction's own included, after which its effect counts as had."""
    poll_interval: float = 6.0
    max_in_flight: int = 4
    """Transactions sent and not mined at once. geth keeps 16 of an account for sure."""
    bump_after: float = 36.0
    """A transaction not mined for so long is replaced by one that pays more."""
    gas_margin: int = 1200
    """Gas limits are estimates times this per mille."""
    lease_seconds: float = 20.0
    foreign_nonces_tolerated: int = 3
    """Transactions of others with this key, after which the manager stops."""
    search_margin: int = 64
    """How far before the block of an intent's first attempt its nonce may have been used (reorgs)."""
    search_blocks: int = 2_000
    """Blocks that are searched for what used a nonce where endpoints have no older states."""
    search_pause: float = 60.0
    """How long after a search in vain the next one comes."""
    fees: FeeSettings = field(default_factory=FeeSettings)


class AlertKind(StrEnum):
    """What a person should look at; the manager itself goes on, or waits."""

    FEE_CAP = "fee cap"
    INSUFFICIENT_FUNDS = "insufficient funds"
    KEY_USED_ELSEWHERE = "key used elsewhere"
    NONCE_UNACCOUNTED = "nonce unaccounted for"
    DEEP_REORG = "deep reorg"
    SIGNER = "signer"
    NOT_ACCEPTED = "not accepted"
    L1_UNAVAILABLE = "L1 unavailable"


@dataclass(frozen=True, slots=True)
class Alert:
    """`key`: the intent that it is about, None for all."""

    kind: AlertKind
    key: str | None
    message: str


class KeyUsedElsewhere(KeyInUse):
    """L1 has, or its pool has, transactions of this key that aren't in this store."""


DoneCheck = Callable[[IntentRecord], Awaitable[bool]]
"""Whether L1 already has an intent's effect, by whomever."""

NeedCheck = Callable[[IntentRecord], Awaitable[str | None]]
"""Why, by L1's newest state, nobody needs an intent's effect any more; None while it is needed."""

Listener = Callable[[IntentRecord], None]
"""Told of every change of an intent's state, after it was recorded."""


@dataclass(frozen=True, slots=True)
class _View:
    """L1 at one moment. `suggestions`: the fees asked for so far, by whether they are for blobs."""

    head: L1Header
    account: AccountState
    suggestions: dict[bool, Suggestion] = field(default_factory=dict)


class EthTxManager:
    """Sends the intents of one signer on one chain.

    `not_needed` is asked before an intent is sent, or sent again: what nobody needs any more is dropped, or taken back
    if it may be on its way. `clock`: seconds since 1970. `sleep` is used while waiting for a lease. Use it as
    `await manager.start(); task = asyncio.create_task(manager.run())`, and `await manager.stop()` at the end.
    """

    def __init__(
        self,
        client: L1Client,
        signer: Signer,
        store: IntentStore,
        settings: ManagerSettings | None = None,
        *,
        checks: dict[str, DoneCheck] | None = None,
        not_needed: NeedCheck | None = None,
        on_alert: Callable[[Alert], None] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        owner: str | None = None,
    ) -> None:
        self.settings = settings or ManagerSettings()
        self._client = client
        self._signer = signer
        self._store = store
        self._checks = dict(checks or {})
        self._not_needed = not_needed
        self._on_alert = on_alert
        self._clock = clock
        self._sleep = sleep
        self._owner = owner or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._lease: SignerLease | None = None
        self._wake = asyncio.Event()
        self._stepping = asyncio.Lock()
        self._listeners: list[Listener] = []
        self._waiters: dict[str, list[asyncio.Future[IntentRecord]]] = {}
        self._alerts: dict[tuple[AlertKind, str | None], Alert] = {}
        self._raised: set[tuple[AlertKind, str | None]] = set()
        self._sidecars: dict[str, blob_data.Sidecar] = {}
        self._refused: dict[bytes, NodeError] = {}
        # Of queued intents: gas when last tried, the nonce to await before judging, those that L1 didn't answer about.
        self._estimates: dict[str, int] = {}
        self._awaited: dict[str, int] = {}
        self._unanswered: set[str] = set()
        self._searched: dict[str, float] = {}
        self._unneeded: set[str] = set()
        self._highest_head = 0
        self._expected_nonce: int | None = None
        self._foreign = 0

    @property
    def address(self) -> bytes:
        """The signer's address."""
        return self._signer.address

    @property
    def chain_id(self) -> int:
        return self._client.chain_id

    # for callers

    def record(self, intent: Intent, *, connection: Any = None) -> IntentRecord:
        """Persist an intent, in the caller's database transaction if `connection` is given. Idempotent by its key.

        Call `notify` once it is committed. Raises `IntentConflict` when the key stands for another effect, and
        `IntentRefused` when no transaction can carry it. Blocking: call it in a thread.
        """
        self._check(intent)
        return self._store.insert(intent, self.chain_id, self.address, connection=connection)

    def notify(self) -> None:
        """There may be new intents: take the next step at once. From the event loop's thread."""
        self._wake.set()

    async def submit(self, intent: Intent) -> IntentRecord:
        """`record` and `notify`. When it returns, the intent will have its effect, or fail, whatever crashes."""
        record = await asyncio.to_thread(self.record, intent)
        self.notify()
        return record

    async def status(self, key: str) -> IntentRecord:
        """What became of an intent. Raises `UnknownIntent`."""
        record = await asyncio.to_thread(self._store.get, key)
        if record is None:
            raise UnknownIntent(f"there is no intent {key}")
        return record

    async def wait(self, key: str, timeout: float | None = None) -> IntentRecord:  # noqa: ASYNC109
        """Wait until an intent is final (CONFIRMED, FAILED or ABANDONED). Raises `UnknownIntent`, `TimeoutError`."""
        future: asyncio.Future[IntentRecord] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(key, []).append(future)
        try:
            record = await self.status(key)
            if record.state in FINAL_STATES:
                return record
            async with asyncio.timeout(timeout):
                return await future
        finally:
            self._waiters[key].remove(future)
            if not self._waiters[key]:
                del self._waiters[key]

    def add_listener(self, listener: Listener) -> None:
        """Be told of every change of an intent's state."""
        self._listeners.append(listener)

    def alerts(self) -> list[Alert]:
        """What is wrong now."""
        return list(self._alerts.values())

    # life

    async def start(self) -> None:
        """Become the owner of the signer's nonces.

        Raises `KeyInUse` when another process is: `KeyLeased` with the same database (a process that was killed is
        waited for, until its lease is over), `KeyUsedElsewhere` when L1's pool holds transactions of this key that
        this database doesn't know.
        """
        self._lease = await self._acquire()
        try:
            await self._check_pool()
        except BaseException:
            await self.stop()
            raise
        log.info("EthTxManager started", signer=to_hex(self.address), chain=self.chain_id)

    async def run(self) -> None:
        """Take steps until cancelled. L1's outages are waited out. Raises `KeyInUse` when the key was lost."""
        heartbeat = asyncio.create_task(self._heartbeat())
        work = asyncio.create_task(self._steps())
        try:
            await asyncio.wait({work, heartbeat}, return_when=asyncio.FIRST_COMPLETED)
            for task in (heartbeat, work):
                if task.done():
                    task.result()
        finally:
            # Neither outlives this: whoever called gives the key back next.
            heartbeat.cancel()
            work.cancel()
            await asyncio.gather(heartbeat, work, return_exceptions=True)

    async def stop(self) -> None:
        """Give the key back. Intents stay as they are."""
        if self._lease is not None:
            lease, self._lease = self._lease, None
            await asyncio.to_thread(self._store.release, lease)

    async def _steps(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.step()
            except KeyInUse:
                raise
            except L1Error as error:
                log.warning("L1 transactions wait", error=type(error).__name__, reason=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.settings.poll_interval):
                    await self._wake.wait()

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self.settings.lease_seconds / 4)
            await self.renew()

    async def renew(self) -> None:
        """Prolong the lease on the key. Raises `KeyInUse` when another process has it."""
        self._lease = await asyncio.to_thread(self._store.renew, self._held(), self.settings.lease_seconds)

    async def _acquire(self) -> SignerLease:
        """The lease, waiting for one that isn't prolonged: its owner is dead."""
        least = float("inf")
        while True:
            try:
                return await asyncio.to_thread(
                    self._store.acquire, self.chain_id, self.address, self._owner, self.settings.lease_seconds
                )
            except KeyLeased as error:
                if error.expires_in >= least or error.expires_in > self.settings.lease_seconds:
                    raise  # prolonged meanwhile: somebody is alive there
                if least == float("inf"):
                    log.info("waiting for the lease on the key", expires_in=round(error.expires_in, 1))
                least = error.expires_in
                await self._sleep(min(0.5, max(error.expires_in, 0.01)))

    async def _check_pool(self) -> None:
        pending = await self._client.get_nonce(self.address, "pending")
        mined = await self._client.get_nonce(self.address, "latest")
        known = await asyncio.to_thread(self._store.next_nonce, self.chain_id, self.address)
        if pending > max(mined, known or 0):
            raise KeyUsedElsewhere(
                f"{pending - max(mined, known or 0)} transactions of {to_hex(self.address)} are on their way that this "
                "database doesn't know: another process uses the key (stop it, or give this one another key), or the "
                "database isn't the one that sent them (wait until they are mined)"
            )
        if known is not None and mined > known:
            # Harmless once: a person may have sent something while the node was down.
            self._alert(
                AlertKind.KEY_USED_ELSEWHERE,
                None,
                f"{mined - known} transactions of this key weren't sent by this node",
            )
        self._expected_nonce = max(mined, known or 0)

    def _held(self) -> SignerLease:
        if self._lease is None:
            raise KeyInUse("the manager isn't started, or was stopped")
        return self._lease

    # one step

    async def step(self) -> None:
        """Look at L1, then do what is due. Raises `L1Error` when L1 doesn't answer, and `KeyInUse`."""
        async with self._stepping:
            self._held()
            self._raised = set()
            try:
                head = await self._client.get_head()
                view = _View(head, await self._client.get_account(self.address, head.hash))
                await self._follow(view)
                await self._account_for_nonces(view)
                await self._revive(view)
                await self._tend(view)
                await self._send_new(view)
            except L1Unavailable as error:
                self._alert(AlertKind.L1_UNAVAILABLE, None, str(error))
                self._clear_alerts(keep_unseen=True)
                raise
            self._clear_alerts(keep_unseen=False)

    async def _open(self) -> list[IntentRecord]:
        return await asyncio.to_thread(self._store.open, self.chain_id, self.address)

    # what L1 has done

    async def _follow(self, view: _View) -> None:
        """Find the attempts that are in blocks, and those that no longer are."""
        sent = [record for record in await self._open() if record.state in (IntentState.SENT, IntentState.MINED)]
        hashes = [attempt.hash for record in sent for attempt in record.current_attempts]
        receipts = {receipt.transaction_hash: receipt for receipt in await self._client.get_receipts(hashes) if receipt}
        for record in sent:
            found = [(a, receipts[a.hash]) for a in record.current_attempts if a.hash in receipts]
            if found:
                await self._mined(view, record, *found[0])
            elif record.state is IntentState.MINED:
                log.warning("a reorg dropped an L1 transaction", intent=record.key, transaction=_hex(record))
                # Its hash stays, so that the very same transaction is sent again.
                await self._move(record, IntentState.SENT, block_number=None, block_hash=None)

    async def _mined(self, view: _View, record: IntentRecord, attempt: Attempt, receipt: L1Receipt) -> None:
        mined: dict[str, Any] = {
            "transaction_hash": receipt.transaction_hash,
            "block_number": receipt.block_number,
            "block_hash": receipt.block_hash,
            "gas_used": receipt.gas_used,
            "effective_gas_price": receipt.effective_gas_price,
        }
        if view.head.number - receipt.block_number + 1 < self.settings.confirmations:
            if (record.state, record.block_hash) != (IntentState.MINED, receipt.block_hash):
                await self._move(record, IntentState.MINED, **mined)
            return
        if attempt.purpose is Purpose.CANCEL:
            if record.is_gap_filler:
                await self._move(record, IntentState.CONFIRMED, **mined)
            elif record.reason is not None:
                await self._move(record, IntentState.FAILED, **mined)
            else:
                why = "not mined in time" if self._late(record) else "not needed any more"
                await self._move(record, IntentState.ABANDONED, **mined, reason=f"{why}, and taken back")
        elif receipt.success:
            await self._move(record, IntentState.CONFIRMED, **mined, reason=None)
        elif await self._already_done(record):
            await self._move(record, IntentState.CONFIRMED, **mined, reason="somebody else had the effect")
        else:
            reason, data = await self._revert_reason(record, receipt)
            await self._move(record, IntentState.FAILED, **mined, reason=reason, revert_data=data)

    async def _revert_reason(self, record: IntentRecord, receipt: L1Receipt) -> tuple[str, bytes | None]:
        """Why a mined transaction reverted, by doing it again on its block; L1 keeps no reasons."""
        try:
            await self._client.call(self._call_request(record, ()), receipt.block_number)
        except ExecutionReverted as error:
            return error.reason or error.message, error.revert_data
        except L1Error as error:
            return f"reverted, for a reason that isn't known ({error})", None
        return "reverted", None

    async def _account_for_nonces(self, view: _View) -> None:
        """Nonces that L1 has used for something that isn't ours."""
        stable = view.head.number - self.settings.confirmations + 1
        sent = [r for r in await self._open() if r.state is IntentState.SENT and r.nonce is not None]
        passed = [record for record in sent if record.nonce is not None and record.nonce < view.account.nonce]
        if passed and stable >= 0:
            used = await self._client.get_nonce(self.address, stable)
            for record in passed:
                if record.nonce is not None and record.nonce < used:
                    await self._consumed(record, record.nonce, stable)
        known = await asyncio.to_thread(self._store.next_nonce, self.chain_id, self.address)
        expected = max(self._expected_nonce or 0, known or 0)
        if self._expected_nonce is not None and view.account.nonce > expected:
            self._foreign_use(view.account.nonce - expected, None)
        self._expected_nonce = max(expected, view.account.nonce)

    async def _consumed(self, record: IntentRecord, nonce: int, stable: int) -> None:
        """A nonce is used for good. INVARIANT I7: the intent is freed from it only when the very transaction that used
        it is known, and isn't one of its attempts.
        """
        if self._clock() < self._searched.get(record.key, 0.0) + self.settings.search_pause:
            self._raise_again(AlertKind.NONCE_UNACCOUNTED, record.key)
            return
        try:
            consumer = await self._find_consumer(record, nonce, stable)
            problem = "no endpoint shows for what"
        except L1Error as error:
            # Whatever keeps this one intent's history from being read must not keep the others from being sent.
            consumer, problem = None, f"it can't be found out for what: {error}"
        if consumer is None:
            self._searched[record.key] = self._clock()
            self._alert(
                AlertKind.NONCE_UNACCOUNTED,
                record.key,
                f"L1 has used the nonce {nonce}, but {problem}. The intent waits (an endpoint with older state helps)",
            )
            return
        self._searched.pop(record.key, None)
        if any(attempt.hash == consumer for attempt in record.attempts):
            return  # ours; its receipt will be there in the next step
        if record.cancelling:
            # Its nonce is gone and none of its attempts had it: it can't happen any more, which is what was wanted.
            after = IntentState.FAILED if record.reason else IntentState.ABANDONED
            await self._move(record, after, reason=record.reason or "its nonce was used by somebody else")
        else:
            released = await asyncio.to_thread(self._store.release_nonce, self._held(), record.key, nonce, consumer)
            self._changed(released)
        self._foreign_use(1, f"{to_hex(consumer)} used the nonce {nonce} of the intent {record.key}")

    def _foreign_use(self, count: int, what: str | None) -> None:
        self._foreign += count
        message = f"another process uses the key of {to_hex(self.address)}: " + (
            what or f"{count} transactions on L1 aren't of this node"
        )
        self._alert(AlertKind.KEY_USED_ELSEWHERE, None, message)
        if self._foreign > self.settings.foreign_nonces_tolerated:
            raise KeyUsedElsewhere(f"{message}. Stop it, or give this node another key")

    async def _find_consumer(self, record: IntentRecord, nonce: int, stable: int) -> bytes | None:
        """The hash of the transaction that used a nonce, in the block after which the nonce was higher."""
        low, high = max(0, (record.first_block or 0) - self.settings.search_margin), stable
        try:
            if await self._client.get_nonce(self.address, low) > nonce:
                low = 0
            while high - low > 1:
                middle = (low + high) // 2
                if await self._client.get_nonce(self.address, middle) > nonce:
                    high = middle
                else:
                    low = middle
            candidates = range(high, high + 1)
        except StateUnavailable:
            # Pruned. Blocks are kept for longer than states.
            candidates = range(stable, max(low, stable - self.settings.search_blocks), -1)
        for number in candidates:
            found = await self._client.find_transaction(number, self.address, nonce)
            if found is not None:
                return found
        return None

    async def _revive(self, view: _View) -> None:
        """Nonces that L1 has no longer used: a reorg deeper than the confirmations. Whatever used them is sent again,
        so that nothing is lost and no later nonce is stuck behind a gap.
        """
        if view.head.number < self._highest_head:
            return  # more likely an endpoint that is behind; a longer chain follows a reorg soon
        self._highest_head = view.head.number
        known = await asyncio.to_thread(self._store.next_nonce, self.chain_id, self.address)
        owned = {record.nonce for record in await self._open()}
        gaps: list[int] = []
        for nonce in range(view.account.nonce, known or 0):
            if nonce in owned:
                continue
            record = await asyncio.to_thread(self._store.by_nonce, self.chain_id, self.address, nonce)
            self._alert(
                AlertKind.DEEP_REORG,
                record.key if record else None,
                f"a reorg deeper than {self.settings.confirmations} blocks took back the nonce {nonce}",
            )
            if record is not None:
                # What no node takes is a failure when it is taken back once more, too.
                refused = record.cancelling and record.state is IntentState.FAILED
                await self._move(
                    record,
                    IntentState.SENT,
                    before=FINAL_STATES,
                    block_number=None,
                    block_hash=None,
                    reason=record.reason if refused else None,
                )
            else:
                gaps.append(nonce)
        for nonce in gaps:
            await self._fill_gap(view, nonce)

    async def _fill_gap(self, view: _View, nonce: int) -> None:
        """Another's transaction had the nonce, and an intent once had an attempt with it: that must never be mined now,
        whoever offers it to L1 again. (The intent is open: it has a later nonce, which the reorg took back as well.)
        """
        fees = (await self._suggest(view, blobs=False)).fees
        rivals = [a.fees for record in await self._open() for a in record.attempts if a.nonce == nonce]
        if rivals:
            highest = Fees(
                max(rival.max_fee_per_gas for rival in rivals), max(rival.max_priority_fee_per_gas for rival in rivals)
            )
            fees = replacement_fees(highest, fees, self.settings.fees, blobs=False) or fees
        transaction = self._transfer_to_self(nonce, fees, ())
        attempt = await self._sign(None, transaction, Purpose.CANCEL)
        record = await asyncio.to_thread(
            self._store.insert_gap_filler, self._held(), self.chain_id, self.address, attempt, view.head.number
        )
        self._changed(record)

    # what is on its way

    async def _tend(self, view: _View) -> None:
        """Re-send, replace or take back what isn't mined, lowest nonce first."""
        sent = sorted(
            (r for r in await self._open() if r.state is IntentState.SENT and r.nonce is not None),
            key=lambda record: record.nonce or 0,
        )
        sent = [record for record in sent if record.nonce is not None and record.nonce >= view.account.nonce]
        if not sent:
            return
        chosen = [self._to_send(record) for record in sent]
        known = await self._client.known_transactions([attempt.hash for attempt in chosen])
        for record, attempt, is_known in zip(sent, chosen, known, strict=True):
            old = self._clock() - record.current_attempts[-1].created_at >= self.settings.bump_after
            stuck = old and record.nonce == view.account.nonce
            if (stuck or not is_known) and await self._is_unneeded(record):
                await self._replace(view, record, Purpose.CANCEL)
                continue
            if not is_known:
                await self._broadcast(record, attempt)
            else:
                self._refused.pop(attempt.hash, None)
            refusal = self._refused.get(attempt.hash)
            if isinstance(refusal, _UNSENDABLE):
                # What no node takes with this nonce must not block the nonces after it.
                if not record.cancelling:
                    record = await self._move(record, IntentState.SENT, reason=f"no node takes it: {refusal.message}")
                    await self._replace(view, record, Purpose.CANCEL)
                continue
            if self._late(record) and not record.cancelling:
                await self._replace(view, record, Purpose.CANCEL)
                continue
            if isinstance(refusal, _PAYS_TOO_LITTLE) or stuck:
                await self._replace(view, record, record.current_attempts[-1].purpose)

    @staticmethod
    def _to_send(record: IntentRecord) -> Attempt:
        """After a reorg the very transaction that was mined, so that nothing changes; else the newest."""
        attempts = record.current_attempts
        return next((a for a in attempts if a.hash == record.transaction_hash), attempts[-1])

    def _late(self, record: IntentRecord) -> bool:
        return record.not_after is not None and self._clock() > record.not_after

    async def _replace(self, view: _View, record: IntentRecord, purpose: Purpose) -> None:
        """Sign and send another transaction with the same nonce that every pool prefers."""
        last = record.current_attempts[-1]
        blobs = record.blob_count > 0
        suggestion = await self._suggest(view, blobs=blobs)
        if not suggestion.affordable:
            # Dearer it wouldn't be mined either, and it would be too dear once L1's fees fall again.
            self._alert_fee_cap(record)
            return
        fees = replacement_fees(last.fees, suggestion.fees, self.settings.fees, blobs=blobs)
        if fees is None:
            self._alert(
                AlertKind.FEE_CAP,
                record.key,
                f"the transaction waits: replacing it would exceed the fee caps (it pays up to "
                f"{last.fees.max_fee_per_gas} wei a gas): raise them if it is urgent",
            )
            return
        nonce = last.nonce
        if purpose is Purpose.CANCEL:
            # A pool lets only a blob transaction replace a blob transaction.
            sidecar = await self._cancel_sidecar() if blobs else None
            transaction = self._transfer_to_self(nonce, fees, sidecar.versioned_hashes if sidecar else ())
        else:
            sidecar = await self._sidecar(record)
            transaction = self._transaction(record, nonce, fees, last.gas_limit, sidecar)
        others = [o for o in await self._open() if o.state is IntentState.SENT and o.key != record.key]
        if self._unpaid(record, transaction.max_cost, view.account.balance - sum(map(_max_cost, others))):
            return  # no pool would take it, and the attempt before it may still be mined
        attempt = await self._sign(record, transaction, purpose)
        updated = await asyncio.to_thread(self._store.add_attempt, self._held(), record.key, attempt, view.head.number)
        self._changed(updated)
        log.info(
            "L1 transaction replaced",
            intent=record.key,
            purpose=purpose.value,
            nonce=nonce,
            transaction=to_hex(attempt.hash),
            max_fee_per_gas=fees.max_fee_per_gas,
        )
        await self._broadcast(updated, attempt)

    async def _broadcast(self, record: IntentRecord, attempt: Attempt) -> None:
        """Offer a recorded attempt to L1. Whatever the answer, it may be mined from now on."""
        raw = attempt.raw
        if record.blob_count:
            sidecar = await (self._cancel_sidecar() if attempt.purpose is Purpose.CANCEL else self._sidecar(record))
            assert sidecar is not None
            raw = blob_data.network_form(raw, sidecar)
        try:
            await self._client.send_raw(raw)
        except NonceTooLow:
            self._refused.pop(attempt.hash, None)  # mined meanwhile, by us or another: the next step finds out
        except InsufficientFunds as error:
            self._alert(AlertKind.INSUFFICIENT_FUNDS, record.key, self._funds_text(str(error)))
        except ReplacementUnderpriced as error:
            others = [other.hash for other in record.current_attempts if other.hash != attempt.hash]
            # A gap filler keeps an attempt of long ago from being mined (INVARIANT I7): it must win.
            if record.is_gap_filler or any(await self._client.known_transactions(others)):
                self._refused[attempt.hash] = error
            else:
                # No bidding war with whoever it is: it is replaced only when it stays stuck.
                self._alert(
                    AlertKind.KEY_USED_ELSEWHERE,
                    record.key,
                    f"another process uses the key of {to_hex(self.address)}: its transaction has the nonce "
                    f"{attempt.nonce} in L1's pool",
                )
        except (*_UNSENDABLE, *_PAYS_TOO_LITTLE) as error:
            self._refused[attempt.hash] = error
            log.info("L1 refused a transaction", intent=record.key, error=type(error).__name__, reason=str(error))
        except (*_WAITS, FeeExceedsNodeCap, NodeError) as error:
            self._alert(AlertKind.NOT_ACCEPTED, record.key, f"L1 nodes don't take the transaction yet: {error}")
        except L1Unavailable as error:
            # It may have arrived all the same: the next step looks, and sends the same bytes again if not.
            self._alert(AlertKind.L1_UNAVAILABLE, record.key, str(error))
        else:
            self._refused.pop(attempt.hash, None)

    # what is new

    async def _send_new(self, view: _View) -> None:
        """Give nonces to queued intents, oldest first. One that can't be sent now keeps none of the others waiting."""
        queued = [record for record in await self._open() if record.state is IntentState.QUEUED]
        # An intent about which L1 doesn't answer ends the step: it must not end each step before the others' turn.
        for record in sorted(queued, key=lambda record: record.key in self._unanswered):
            if self._late(record):
                await self._move(record, IntentState.ABANDONED, reason="not sent in time")
                continue
            in_flight = [other for other in await self._open() if other.state is IntentState.SENT]
            if len(in_flight) >= self.settings.max_in_flight:
                return
            try:
                if not await self._send_first(view, record, in_flight):
                    return
            except L1Unavailable:
                self._unanswered.add(record.key)
                raise
            self._unanswered.discard(record.key)

    async def _send_first(self, view: _View, record: IntentRecord, in_flight: list[IntentRecord]) -> bool:
        """Sign and send an intent's first transaction, if it can be sent now. False: later intents must wait, too."""
        if await self._is_unneeded(record):
            await self._move(record, IntentState.ABANDONED, reason="not needed any more")
            return True
        if await self._already_done(record):
            await self._move(record, IntentState.CONFIRMED, reason="somebody else had the effect")
            return True
        suggestion = await self._suggest(view, blobs=record.blob_count > 0)
        if not suggestion.affordable:
            self._alert_fee_cap(record)
            return True
        left = view.account.balance - sum(_max_cost(other) for other in in_flight)
        # Before anything else is asked or computed: it may wait for ether for long.
        least = _first_cost(record, suggestion.fees, self._estimates.get(record.key, record.gas_limit or TRANSFER_GAS))
        if self._unpaid(record, least, left):
            return True
        try:
            sidecar = await self._sidecar(record)
        except blob_data.MalformedBlob as error:
            await self._move(record, IntentState.FAILED, reason=f"no node takes it: {error}")
            return True
        gas_limit = await self._tried(view, record, in_flight, sidecar.versioned_hashes if sidecar else ())
        if gas_limit is None:
            return True
        self._estimates[record.key] = gas_limit
        if gas_limit > MAX_TRANSACTION_GAS:
            await self._move(
                record,
                IntentState.FAILED,
                reason=f"needs {gas_limit} gas, and a transaction may have {MAX_TRANSACTION_GAS} (EIP-7825)",
            )
            return True
        if self._unpaid(record, _first_cost(record, suggestion.fees, gas_limit), left):
            return True
        if any((other.blob_count > 0) != (record.blob_count > 0) for other in in_flight):
            return False  # pools keep the two kinds of one sender apart: its turn comes once those are mined
        known = await asyncio.to_thread(self._store.next_nonce, self.chain_id, self.address)
        nonce = max(view.account.nonce, known or 0)
        transaction = self._transaction(record, nonce, suggestion.fees, gas_limit, sidecar)
        attempt = await self._sign(record, transaction, Purpose.EFFECT)
        # INVARIANT I7: recorded before it is sent.
        updated = await asyncio.to_thread(self._store.add_attempt, self._held(), record.key, attempt, view.head.number)
        self._changed(updated)
        log.info("L1 transaction sent", intent=record.key, nonce=nonce, transaction=to_hex(attempt.hash))
        await self._broadcast(updated, attempt)
        return True

    async def _tried(
        self, view: _View, record: IntentRecord, in_flight: list[IntentRecord], hashes: tuple[bytes, ...]
    ) -> int | None:
        """The gas limit of an intent that would succeed now; None for one that failed, or can't be judged yet."""
        try:
            return await self._preflight(record, hashes)
        except (ExecutionReverted, CallFailed) as error:
            # It may depend on what isn't mined yet: judged once all that was on its way when it first failed is mined,
            # however much was sent since.
            nonces = [other.nonce for other in in_flight if other.nonce is not None]
            if self._awaited.setdefault(record.key, max(nonces, default=-1)) >= view.account.nonce:
                return None
            reverted = isinstance(error, ExecutionReverted)
            reason = (error.reason if isinstance(error, ExecutionReverted) else None) or error.message
            data = error.revert_data if isinstance(error, ExecutionReverted) else None
            how = "would revert" if reverted else "would fail"
            await self._move(record, IntentState.FAILED, reason=f"{how}: {reason}", revert_data=data)
        except InsufficientFunds as error:
            self._alert(AlertKind.INSUFFICIENT_FUNDS, record.key, self._funds_text(str(error)))
        except _UNSENDABLE as error:
            await self._move(record, IntentState.FAILED, reason=f"no node takes it: {error.message}")
        except RateLimited:
            raise
        except NodeError as error:
            # Also what all nodes have trouble of their own with: it may be this very call that is too much for them.
            self._alert(AlertKind.NOT_ACCEPTED, record.key, f"L1 nodes can't try the transaction: {error}")
        return None

    def _unpaid(self, record: IntentRecord, cost: int, left: int) -> bool:
        """Whether the balance that is left doesn't cover an intent's cost, which is then told."""
        if cost <= left:
            return False
        self._alert(AlertKind.INSUFFICIENT_FUNDS, record.key, self._funds_text(f"{cost - left} wei are missing"))
        return True

    async def _preflight(self, record: IntentRecord, hashes: tuple[bytes, ...]) -> int:
        """The gas limit. Raises `ExecutionReverted` and `CallFailed` when the transaction would fail."""
        request = self._call_request(record, hashes)
        if record.gas_limit is None:
            return gas_limit_for(await self._client.estimate_gas(request), self.settings.gas_margin)
        if record.preflight:
            await self._client.call(dataclasses.replace(request, gas=record.gas_limit))
        return record.gas_limit

    async def _is_unneeded(self, record: IntentRecord) -> bool:
        """Whether what is about to be sent, or sent again, is to be dropped, or taken back, instead."""
        if self._not_needed is None or record.cancelling:
            return False
        try:
            reason = await self._not_needed(record)
        except L1Unavailable:
            raise
        except L1Error as error:
            # Whatever keeps this one from being judged must not keep the others from being sent.
            log.warning("whether an L1 transaction is still needed isn't known", intent=record.key, reason=str(error))
            return False
        if reason is None:
            self._unneeded.discard(record.key)
        elif record.key not in self._unneeded:
            self._unneeded.add(record.key)
            log.warning("an L1 transaction isn't needed any more, and is dropped", intent=record.key, reason=reason)
        return reason is not None

    async def _already_done(self, record: IntentRecord) -> bool:
        check = self._checks.get(record.kind)
        return check is not None and await check(record)

    # parts

    def _check(self, intent: Intent) -> None:
        if len(intent.data) > MAX_CALLDATA_BYTES:
            raise IntentRefused(
                f"{len(intent.data)} bytes of calldata are too many for L1's pools ({MAX_CALLDATA_BYTES} at most)"
            )
        if len(intent.blobs) > blob_data.MAX_BLOBS_PER_TRANSACTION:
            raise IntentRefused(
                f"{len(intent.blobs)} blobs: a transaction may have {blob_data.MAX_BLOBS_PER_TRANSACTION}"
            )
        if any(len(blob) != blob_data.BYTES_PER_BLOB for blob in intent.blobs):
            raise IntentRefused(f"a blob has {blob_data.BYTES_PER_BLOB} bytes")
        if intent.blobs and intent.to is None:
            raise IntentRefused("a blob transaction can't create a contract (EIP-4844)")
        if intent.gas_limit is not None and not TRANSFER_GAS <= intent.gas_limit <= MAX_TRANSACTION_GAS:
            raise IntentRefused(f"a gas limit is between {TRANSFER_GAS} and {MAX_TRANSACTION_GAS} (EIP-7825)")

    def _call_request(self, record: IntentRecord, hashes: tuple[bytes, ...]) -> CallRequest:
        return CallRequest(record.to, record.data, self.address, record.value, None, hashes)

    def _transaction(
        self, record: IntentRecord, nonce: int, fees: Fees, gas_limit: int, sidecar: blob_data.Sidecar | None
    ) -> Transaction:
        hashes = sidecar.versioned_hashes if sidecar else ()
        return Transaction(self.chain_id, nonce, fees, gas_limit, record.to, record.value, record.data, hashes)

    def _transfer_to_self(self, nonce: int, fees: Fees, hashes: tuple[bytes, ...]) -> Transaction:
        # More than a transfer's gas: the signer may be an account with code (EIP-7702), whose code then runs.
        return Transaction(self.chain_id, nonce, fees, 5 * TRANSFER_GAS, self.address, 0, b"", hashes)

    async def _sign(self, record: IntentRecord | None, transaction: Transaction, purpose: Purpose) -> Attempt:
        try:
            raw = await self._signer.sign_transaction(transaction)
        except SignerError as error:
            self._alert(AlertKind.SIGNER, record.key if record else None, str(error))
            raise
        return Attempt(
            hash=transaction_hash(raw),
            nonce=transaction.nonce,
            purpose=purpose,
            fees=transaction.fees,
            gas_limit=transaction.gas_limit,
            raw=raw,
            created_at=self._clock(),
        )

    async def _suggest(self, view: _View, *, blobs: bool) -> Suggestion:
        if blobs not in view.suggestions:
            history = await self._client.get_fee_history()
            for kind in (False, True):
                view.suggestions[kind] = suggest_fees(history, self.settings.fees, blobs=kind)
        return view.suggestions[blobs]

    async def _sidecar(self, record: IntentRecord) -> blob_data.Sidecar | None:
        if not record.blob_count:
            return None
        if record.key not in self._sidecars:
            blobs = await asyncio.to_thread(self._store.blobs, record.key)
            self._sidecars[record.key] = await blob_data.build_sidecar_in_thread(blobs)
        return self._sidecars[record.key]

    async def _cancel_sidecar(self) -> blob_data.Sidecar:
        """One empty blob."""
        if "" not in self._sidecars:
            self._sidecars[""] = await blob_data.build_sidecar_in_thread((bytes(blob_data.BYTES_PER_BLOB),))
        return self._sidecars[""]

    async def _move(
        self, record: IntentRecord, after: IntentState, *, before: tuple[IntentState, ...] = OPEN_STATES, **fields: Any
    ) -> IntentRecord:
        moved = await asyncio.to_thread(self._store.move, self._held(), record.key, before, after, **fields)
        self._changed(moved)
        return moved

    def _changed(self, record: IntentRecord) -> None:
        log.debug("intent", intent=record.key, state=record.state.value, reason=record.reason)
        if record.state is not IntentState.QUEUED:
            self._estimates.pop(record.key, None)
            self._awaited.pop(record.key, None)
        if record.state in FINAL_STATES:
            self._unanswered.discard(record.key)
            self._searched.pop(record.key, None)
            self._unneeded.discard(record.key)
            self._sidecars.pop(record.key, None)
            for attempt in record.attempts:
                self._refused.pop(attempt.hash, None)
            log.info("L1 transaction is final", intent=record.key, state=record.state.value, transaction=_hex(record))
            for future in self._waiters.get(record.key, []):
                if not future.done():
                    future.set_result(record)
        for listener in self._listeners:
            listener(record)

    # alerts

    def _alert(self, kind: AlertKind, key: str | None, message: str) -> None:
        alert = Alert(kind, key, message)
        self._raised.add((kind, key))
        if self._alerts.get((kind, key)) == alert:
            return
        is_new = (kind, key) not in self._alerts
        self._alerts[kind, key] = alert
        if is_new:
            log.error("L1 transactions need attention", alert=kind.value, intent=key, reason=message)
            if self._on_alert is not None:
                self._on_alert(alert)

    def _alert_fee_cap(self, record: IntentRecord) -> None:
        text = "L1's fees exceed the caps: the transaction waits until they fall"
        self._alert(AlertKind.FEE_CAP, record.key, text)

    def _raise_again(self, kind: AlertKind, key: str | None) -> None:
        """What an earlier step met and this one didn't look at again is still so."""
        self._raised.add((kind, key))

    def _clear_alerts(self, *, keep_unseen: bool) -> None:
        """Forget what the step didn't meet again. That others use the key stays true until the next start."""
        if not keep_unseen:
            kept = AlertKind.KEY_USED_ELSEWHERE
            self._alerts = {
                name: alert for name, alert in self._alerts.items() if name in self._raised or name[0] is kept
            }

    def _funds_text(self, detail: str) -> str:
        return f"{to_hex(self.address)} can't pay for its transactions, they wait ({detail}): send it ether"


def _first_cost(record: IntentRecord, fees: Fees, gas_limit: int) -> int:
    """The balance that an intent's first transaction takes, in wei."""
    blob_gas = record.blob_count * GAS_PER_BLOB
    return record.value + gas_limit * fees.max_fee_per_gas + blob_gas * fees.max_fee_per_blob_gas


def _max_cost(record: IntentRecord) -> int:
    """The most that an intent on its way can still cost, in wei."""
    blob_gas = record.blob_count * GAS_PER_BLOB
    costs = (attempt.max_gas_cost + blob_gas * attempt.fees.max_fee_per_blob_gas for attempt in record.current_attempts)
    return record.value + max(costs, default=0)


def _hex(record: IntentRecord) -> str | None:
    return to_hex(record.transaction_hash) if record.transaction_hash else None
