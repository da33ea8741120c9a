"""`zkcop_*` methods about disputes of this node's claims."""

from __future__ import annotations

from sqlalchemy import Connection

from exclave.dispute.payloads import DisputeKind
from exclave.rpc.registry import Registry
from exclave.rpc.sessions import PageSize
from exclave.rpc.values import Address, Answer, Hash32, Quantity, Uint63
from exclave.store import Store


class DisputeAnswer(Answer):
    """A dispute: what is asked (`kind`: leaf, hashes, block or challenge) of which leaf of a claim, by whom, with a
    bond in wei, and until when (L1 seconds). `number` is a block's; for hashes it counts 1,024 of them. `status`: open,
    answered (by `answerer`, who got `paid` wei), or returned (its bond, as the leaf died of another dispute).
    """

    claim_id: Quantity
    leaf_index: Quantity
    session_id: Quantity
    kind: str
    number: Quantity
    status: str
    opener: Address
    bond: Quantity
    deadline: Quantity
    opened_block: Quantity
    open_tx_hash: Hash32
    answerer: Address | None
    paid: Quantity | None
    answer_tx_hash: Hash32 | None


class DisputeMethods:
    """Reads of disputes from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def register(self, registry: Registry) -> None:
        registry.register("zkcop_listDisputes", self.list_disputes)

    def list_disputes(
        self, session_id: Uint63 | None = None, unanswered: bool = False, limit: PageSize = 100
    ) -> list[DisputeAnswer]:
        """Disputes about this node's claims, the nearest deadline first; of one session, or only open ones."""

        def work(tx: Connection) -> list[DisputeAnswer]:
            found = self._store.disputes.find(session_id=session_id, unanswered=unanswered, limit=limit, connection=tx)
            sessions = {
                (claim_id, leaf.leaf_index): leaf.session_id
                for claim_id in {dispute.claim_id for dispute in found}
                for leaf in self._store.claims.leaves(claim_id, connection=tx)
            }
            return [
                DisputeAnswer(
                    claim_id=dispute.claim_id,
                    leaf_index=dispute.leaf_index,
                    session_id=sessions[dispute.claim_id, dispute.leaf_index],
                    kind=DisputeKind(dispute.kind).name.lower(),
                    number=dispute.number,
                    status=_status(dispute.answerer),
                    opener=dispute.opener,
                    bond=dispute.bond,
                    deadline=dispute.deadline,
                    opened_block=dispute.opened_block,
                    open_tx_hash=dispute.opened_transaction,
                    answerer=dispute.answerer,
                    paid=dispute.paid,
                    answer_tx_hash=dispute.closed_transaction,
                )
                for dispute in found
            ]

        return self._store.read(work)


def _status(answerer: bytes | None) -> str:
    if answerer is None:
        return "open"
    return "answered" if any(answerer) else "returned"
