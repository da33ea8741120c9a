"""`zkcop_*` methods about claims on L1, and what is needed to check or challenge one."""

from __future__ import annotations

from typing import Any

from exclave.protocol import SessionClaim, merkle_proof
from exclave.rpc.batches import ClaimedSession
from exclave.rpc.errors import ResourceNotFound, ResourceUnavailable
from exclave.rpc.registry import Registry
from exclave.rpc.sessions import PageSize
from exclave.rpc.values import Address, Answer, Data, Hash32, Quantity, Uint63
from exclave.store import Claim, ClaimStatus, Store


class ClaimAnswer(Answer):
    """A claim as L1 recorded it; `bond` in wei over all its sessions, times in L1 seconds."""

    claim_id: Quantity
    status: ClaimStatus
    claimant: Address
    claims_root: Hash32
    terms_hash: Hash32
    count: Quantity
    bond: Quantity
    claimed_at: Quantity
    settleable_at: Quantity
    data_hash: Hash32 | None
    blob_hashes: list[Hash32]
    block_number: Quantity
    claim_tx_hash: Hash32


class ClaimDetail(ClaimAnswer):
    """A claim with its sessions; those of somebody else's claim may be unknown."""

    sessions: list[ClaimedSession]


class ClaimProof(Answer):
    """A session's leaf in a claim and the Merkle proof that `settle` takes: siblings from the leaf up."""

    claim_id: Quantity
    count: Quantity
    claims_root: Hash32
    session: ClaimedSession
    proof: list[Hash32]


class ClaimData(Answer):
    """The transactions behind a claim (docs/protocol.md, section 8), whatever the data mode."""

    claim_id: Quantity
    data: Data


class ClaimMethods:
    """Reads of claims from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def register(self, registry: Registry) -> None:
        registry.register("zkcop_getClaim", self.get_claim, ResourceNotFound)
        registry.register("zkcop_listClaims", self.list_claims)
        registry.register("zkcop_getClaimsBySession", self.get_claims_by_session)
        registry.register("zkcop_getClaimProof", self.get_claim_proof, ResourceNotFound, ResourceUnavailable)
        registry.register("zkcop_getClaimData", self.get_claim_data, ResourceNotFound, ResourceUnavailable)

    def get_claim(self, claim_id: Uint63) -> ClaimDetail:
        """One claim with its sessions."""
        claim = self._claim(claim_id)
        sessions = [ClaimedSession.of(leaf) for leaf in self._store.claims.leaves(claim_id)]
        return ClaimDetail(**_fields(claim), sessions=sessions)

    def list_claims(
        self, status: ClaimStatus | None = None, before: Uint63 | None = None, limit: PageSize = 100
    ) -> list[ClaimAnswer]:
        """Claims with ids below `before`, newest first."""
        found = self._store.claims.find(None if status is None else [status], before=before, limit=limit)
        return [ClaimAnswer(**_fields(claim)) for claim in found]

    def get_claims_by_session(self, session_id: Uint63) -> list[ClaimAnswer]:
        """All claims that include a session, oldest first."""
        return [ClaimAnswer(**_fields(claim)) for claim in self._store.claims.of_session(session_id)]

    def get_claim_proof(self, session_id: Uint63, claim_id: Uint63 | None = None) -> ClaimProof:
        """A session's leaf with its Merkle proof, in the given claim or the newest that includes the session."""
        if claim_id is None:
            claims = self._store.claims.of_session(session_id)
            if not claims:
                raise ResourceNotFound(f"no claim includes session {session_id}")
            claim_id = claims[-1].claim_id
        claim = self._claim(claim_id)
        leaves = self._store.claims.leaves(claim_id)
        if len(leaves) != claim.count:
            raise ResourceUnavailable(f"this node doesn't know the sessions of claim {claim_id}")
        for leaf in reversed(leaves):  # the range with the result, when a checkpoint is in the same claim
            if leaf.session_id == session_id:
                hashes = [SessionClaim.decode(other.claim).leaf() for other in leaves]
                return ClaimProof(
                    claim_id=claim_id,
                    count=claim.count,
                    claims_root=claim.claims_root,
                    session=ClaimedSession.of(leaf),
                    proof=merkle_proof(hashes, leaf.leaf_index),
                )
        raise ResourceNotFound(f"claim {claim_id} doesn't include session {session_id}")

    def get_claim_data(self, claim_id: Uint63) -> ClaimData:
        """The data of a claim of this node: all transactions of its sessions' blocks."""
        claim = self._claim(claim_id)
        batch = self._store.batches.by_root(claim.claims_root)
        if batch is None:
            raise ResourceUnavailable(f"claim {claim_id} isn't of this node: read its data from L1")
        return ClaimData(claim_id=claim_id, data=batch.data)

    def _claim(self, claim_id: int) -> Claim:
        claim = self._store.claims.get(claim_id)
        if claim is None:
            raise ResourceNotFound(f"no claim {claim_id}")
        return claim


def _fields(claim: Claim) -> dict[str, Any]:
    return {
        "claim_id": claim.claim_id,
        "status": claim.status,
        "claimant": claim.claimant,
        "claims_root": claim.claims_root,
        "terms_hash": claim.terms_hash,
        "count": claim.count,
        "bond": claim.bond,
        "claimed_at": claim.claimed_at,
        "settleable_at": claim.settleable_at,
        "data_hash": claim.data_hash,
        "blob_hashes": list(claim.blob_hashes),
        "block_number": claim.l1_block_number,
        "claim_tx_hash": claim.l1_transaction_hash,
    }
