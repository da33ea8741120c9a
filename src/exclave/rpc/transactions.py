"""`zkcop_*` methods about this node's L1 transactions (EthTxManager's intents)."""

from __future__ import annotations

from sqlalchemy import Connection, select

from exclave.l1.intents import IntentRecord, IntentState
from exclave.rpc.errors import ResourceNotFound
from exclave.rpc.registry import Registry
from exclave.rpc.sessions import PageSize
from exclave.rpc.values import Address, Answer, Hash32, Quantity, Uint63
from exclave.store import Store, schema
from exclave.store.intents import IntentRepository


class AttemptAnswer(Answer):
    """A signed transaction of an intent: all attempts share a nonce, at most one is mined. Fees in wei a gas."""

    tx_hash: Hash32
    nonce: Quantity
    purpose: str
    max_fee_per_gas: Quantity
    max_priority_fee_per_gas: Quantity
    max_fee_per_blob_gas: Quantity


class L1TransactionAnswer(Answer):
    """An effect on L1 that this node wants, and what became of it. `value` in wei, `effectiveGasPrice` in wei a gas."""

    key: str
    state: IntentState
    sender: Address
    to: Address | None
    value: Quantity
    blob_count: Quantity
    tx_hash: Hash32 | None
    block_number: Quantity | None
    gas_used: Quantity | None
    effective_gas_price: Quantity | None
    reason: str | None
    created_at: Quantity
    attempts: list[AttemptAnswer]

    @classmethod
    def of(cls, record: IntentRecord) -> L1TransactionAnswer:
        return cls(
            key=record.key,
            state=record.state,
            sender=record.sender,
            to=record.to,
            value=record.value,
            blob_count=record.blob_count,
            tx_hash=record.transaction_hash,
            block_number=record.block_number,
            gas_used=record.gas_used,
            effective_gas_price=record.effective_gas_price,
            reason=record.reason,
            created_at=record.created_at,
            attempts=[
                AttemptAnswer(
                    tx_hash=attempt.hash,
                    nonce=attempt.nonce,
                    purpose=attempt.purpose.value,
                    max_fee_per_gas=attempt.fees.max_fee_per_gas,
                    max_priority_fee_per_gas=attempt.fees.max_priority_fee_per_gas,
                    max_fee_per_blob_gas=attempt.fees.max_fee_per_blob_gas,
                )
                for attempt in record.attempts
            ],
        )


class TransactionMethods:
    """Reads of intents from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._intents = IntentRepository(store)

    def register(self, registry: Registry) -> None:
        registry.register("zkcop_listL1Transactions", self.list_l1_transactions)
        registry.register("zkcop_getL1Transaction", self.get_l1_transaction, ResourceNotFound)
        registry.register("zkcop_getL1TransactionsBySession", self.get_by_session)
        registry.register("zkcop_getL1TransactionsByClaim", self.get_by_claim)

    def list_l1_transactions(
        self, state: IntentState | None = None, limit: PageSize = 100
    ) -> list[L1TransactionAnswer]:
        """This node's newest effects on L1, newest first."""
        found = self._intents.find(None if state is None else [state], limit=limit)
        return [L1TransactionAnswer.of(record) for record in found]

    def get_l1_transaction(self, key: str) -> L1TransactionAnswer:
        """One effect by its key, such as `claim:...`."""
        record = self._intents.get(key)
        if record is None:
            raise ResourceNotFound(f"no L1 transaction has the key {key[:200]!r}")
        return L1TransactionAnswer.of(record)

    def get_by_session(self, session_id: Uint63) -> list[L1TransactionAnswer]:
        """This node's claims and settlements of a session, in order of its ranges of blocks."""
        jobs = self._store.jobs.of_session(session_id)
        return self._by_keys([key for job in jobs for key in (job.claim_intent, job.settle_intent) if key])

    def get_by_claim(self, claim_id: Uint63) -> list[L1TransactionAnswer]:
        """The transaction that posted a claim of this node, and those that settled its sessions."""

        def work(tx: Connection) -> list[str]:
            jobs = schema.jobs.c
            query = (
                select(jobs.claim_intent, jobs.settle_intent)
                .where(jobs.claim_id == claim_id)
                .order_by(jobs.session_id, jobs.first_number)
            )
            rows = tx.execute(query).all()
            return [row[0] for row in rows if row[0]] + [row[1] for row in rows if row[1]]

        return self._by_keys(self._store.read(work))

    def _by_keys(self, keys: list[str]) -> list[L1TransactionAnswer]:
        found = [self._intents.get(key) for key in dict.fromkeys(keys)]
        return [L1TransactionAnswer.of(record) for record in found if record is not None]
