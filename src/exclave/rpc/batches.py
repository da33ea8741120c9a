"""`zkcop_*` methods about batches: what this node claims in one L1 transaction. The words are Polygon zkEVM's.

A block is *virtualized* when a batch that includes it is on L1 (its claim is posted), and *consolidated* when its
session is settled with it.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from exclave.protocol import SessionClaim
from exclave.rpc.errors import ResourceNotFound
from exclave.rpc.registry import Registry
from exclave.rpc.sessions import PageSize
from exclave.rpc.values import Answer, Data, Hash32, Quantity, Uint63
from exclave.store import Batch, Job, Leaf, SessionStatus, Store, schema


class BatchRange(Answer):
    """Blocks of one session in a batch."""

    session_id: Quantity
    first_number: Quantity
    last_number: Quantity
    last_hash: Hash32
    result_hash: Hash32


class BatchAnswer(Answer):
    """A batch. `claimTxHash` is the L1 transaction that posted it, `claimId` its claim on L1; both null until then."""

    number: Quantity
    claims_root: Hash32
    terms_hash: Hash32
    data_mode: str
    data_bytes: Quantity
    timestamp: Quantity
    claim_id: Quantity | None
    claim_tx_hash: Hash32 | None
    closed: bool
    sessions: list[BatchRange]


class ClaimedSession(Answer):
    """A leaf of a claim: `claim` is `abi.encode(SessionClaim)`."""

    leaf_index: Quantity
    session_id: Quantity
    first_number: Quantity
    last_number: Quantity
    last_timestamp: Quantity
    last_hash: Hash32
    block_hashes_root: Hash32
    result_hash: Hash32
    config_hash: Hash32
    seed: Hash32
    inbox_count: Quantity
    inbox_hash: Hash32
    leaf: Hash32
    claim: Data

    @classmethod
    def of(cls, leaf: Leaf) -> ClaimedSession:
        claim = SessionClaim.decode(leaf.claim)
        return cls(
            leaf_index=leaf.leaf_index,
            session_id=claim.session_id,
            first_number=claim.first_number,
            last_number=claim.last_number,
            last_timestamp=claim.last_timestamp,
            last_hash=claim.last_hash,
            block_hashes_root=claim.block_hashes_root,
            result_hash=claim.result_hash,
            config_hash=claim.config_hash,
            seed=claim.seed,
            inbox_count=claim.inbox_count,
            inbox_hash=claim.inbox_hash,
            leaf=claim.leaf(),
            claim=leaf.claim,
        )


DATA_MODES = ("blob", "calldata", "on-demand")


class BatchMethods:
    """Reads of batches from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def register(self, registry: Registry) -> None:
        registry.register("zkcop_batchNumber", self.batch_number)
        registry.register("zkcop_virtualBatchNumber", self.virtual_batch_number)
        registry.register("zkcop_verifiedBatchNumber", self.verified_batch_number)
        registry.register("zkcop_getBatchByNumber", self.get_batch_by_number, ResourceNotFound)
        registry.register("zkcop_listBatches", self.list_batches)
        registry.register("zkcop_batchNumberByBlockNumber", self.batch_number_by_block_number)
        registry.register("zkcop_isBlockVirtualized", self.is_block_virtualized)
        registry.register("zkcop_isBlockConsolidated", self.is_block_consolidated)
        registry.register("zkcop_consolidatedBlockNumber", self.consolidated_block_number)

    def batch_number(self) -> Quantity:
        """The number of the newest batch; zero before the first."""
        newest = self._store.batches.find(limit=1)
        return newest[0].batch_id if newest else 0

    def virtual_batch_number(self) -> Quantity:
        """The number of the newest batch whose claim is on L1; zero before the first."""
        return self._highest(schema.batches.c.claim_id.is_not(None))

    def verified_batch_number(self) -> Quantity:
        """The number of the newest batch whose claim is settled; zero before the first."""
        settled = select(schema.claims.c.claim_id).where(schema.claims.c.status == "settled")
        return self._highest(schema.batches.c.claim_id.in_(settled))

    def get_batch_by_number(self, number: Uint63) -> BatchAnswer:
        """One batch with the blocks that it covers."""
        batch = self._store.batches.get(number)
        if batch is None:
            raise ResourceNotFound(f"no batch {number}")
        return self._answer(batch)

    def list_batches(self, before: Uint63 | None = None, limit: PageSize = 100) -> list[BatchAnswer]:
        """Batches with numbers below `before`, newest first."""
        return [self._answer(batch) for batch in self._store.batches.find(before=before, limit=limit)]

    def batch_number_by_block_number(self, session_id: Uint63, block_number: Uint63) -> Quantity | None:
        """The number of the batch that covers a session's block; null while there is none."""
        job = self._job(session_id, block_number)
        return job.batch_id if job else None

    def is_block_virtualized(self, session_id: Uint63, block_number: Uint63) -> bool:
        """Whether a claim that covers the block is on L1."""
        job = self._job(session_id, block_number)
        return job is not None and job.claim_id is not None

    def is_block_consolidated(self, session_id: Uint63, block_number: Uint63) -> bool:
        """Whether the block's session is settled on L1, with this block in its history."""
        session = self._store.sessions.get(session_id)
        head = self._store.blocks.head(session_id)
        if session is None or session.status is not SessionStatus.SETTLED or head is None:
            return False
        return block_number <= head.number and head.result == session.result

    def consolidated_block_number(self, session_id: Uint63) -> Quantity:
        """The last consolidated block of a session; zero before settlement."""
        head = self._store.blocks.head(session_id)
        return head.number if head and self.is_block_consolidated(session_id, head.number) else 0

    def _job(self, session_id: int, block_number: int) -> Job | None:
        for job in self._store.jobs.of_session(session_id):
            anchored = job.first_number < block_number or block_number == 0 == job.first_number
            if anchored and job.last_number is not None and block_number <= job.last_number:
                return job
        return None

    def _highest(self, condition: object) -> int:
        def work(tx: Connection) -> int:
            query = select(func.max(schema.batches.c.batch_id)).where(condition)  # type: ignore[arg-type]
            return int(tx.scalar(query) or 0)

        return self._store.read(work)

    def _answer(self, batch: Batch) -> BatchAnswer:
        ranges = []
        for leaf in self._store.batches.leaves(batch.batch_id):
            claim = SessionClaim.decode(leaf.claim)
            ranges.append(
                BatchRange(
                    session_id=claim.session_id,
                    first_number=claim.first_number,
                    last_number=claim.last_number,
                    last_hash=claim.last_hash,
                    result_hash=claim.result_hash,
                )
            )
        claim_record = None if batch.claim_id is None else self._store.claims.get(batch.claim_id)
        return BatchAnswer(
            number=batch.batch_id,
            claims_root=batch.claims_root,
            terms_hash=batch.terms_hash,
            data_mode=DATA_MODES[batch.data_mode],
            data_bytes=len(batch.data),
            timestamp=batch.created_at,
            claim_id=batch.claim_id,
            claim_tx_hash=claim_record.l1_transaction_hash if claim_record else None,
            closed=claim_record is not None and claim_record.status == "settled",
            sessions=ranges,
        )
