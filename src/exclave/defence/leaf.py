"""A leaf of a claim of this node, with all that is asked of it, from the store."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from exclave.dispute import payloads
from exclave.dispute.payloads import HASHES_TOGETHER, LeafName, ShownHash, ShownLeaf
from exclave.protocol import ClaimHeader, SessionClaim, Terms, block_hashes_root
from exclave.store import Claim, Session, Store


class LeafUndefendable(Exception):
    """The store doesn't have what the leaf says: the text says why. A person must look."""


@dataclass(frozen=True)
class DefendedLeaf:
    """A leaf and the chain that it is of. `hashes` are those of the blocks `content.first_number` to the last."""

    store: Store
    claim: Claim
    header: ClaimHeader
    index: int
    session: Session
    terms: Terms
    content: SessionClaim
    shown: ShownLeaf
    hashes: tuple[bytes, ...]

    @property
    def name(self) -> LeafName:
        """By what L1 knows it."""
        return self.shown.name

    @property
    def key(self) -> str:
        """What the keys of all intents about it have: L1 may give a claim's id to another claim after a reorg."""
        return f"{self.claim.claim_id}:{self.claim.claimed_at}:{self.claim.claims_root.hex()[:16]}:{self.index}"

    def shown_hash(self, number: int) -> ShownHash:
        """The hash of block `number` with its proof."""
        return ShownHash.of(self.hashes, self.content.first_number, number)

    def answer_leaf(self) -> bytes:
        """Calldata."""
        return payloads.encode_answer_leaf(self.shown)

    def answer_hashes(self, position: int) -> bytes:
        """Calldata. Raises `LeafUndefendable` for a position that isn't there."""
        if not 0 <= HASHES_TOGETHER * position < len(self.hashes):
            raise LeafUndefendable(f"there are no hashes at position {position}")
        return payloads.encode_answer_hashes(self.shown, position, self.hashes)

    def answer_block(self, number: int) -> bytes:
        """Calldata, whatever its size. Raises `LeafUndefendable` for a block that isn't there."""
        found = next(self.store.blocks.load(self.session.session_id, number, number), None)
        if found is None or not self.content.first_number < number <= self.content.last_number:
            raise LeafUndefendable(f"there is no block {number}")
        return payloads.encode_answer_block(
            self.shown, self.shown_hash(number - 1), self.shown_hash(number), found.header, found.transactions
        )


def load_leaf(store: Store, claim_id: int, index: int) -> DefendedLeaf:
    """A leaf of this node's claim. Raises `LeafUndefendable`."""

    def work(tx: Connection) -> DefendedLeaf:
        claim = store.claims.get(claim_id, connection=tx)
        leaves = store.claims.leaves(claim_id, connection=tx)
        if claim is None or index >= len(leaves):
            raise LeafUndefendable(f"claim {claim_id} has no leaf {index} here")
        contents = [SessionClaim.decode(leaf.claim) for leaf in leaves]
        content = contents[index]
        session = store.sessions.get(content.session_id, connection=tx)
        if session is None or session.genesis_hash is None or session.config_hash != content.config_hash:
            raise LeafUndefendable(f"L1 replaced session {content.session_id} since it was claimed")
        first, last = content.first_number, content.last_number
        before = [session.genesis_hash] if first == 0 else []
        hashes = (*before, *store.blocks.hashes(session.session_id, max(first, 1), last, connection=tx))
        if len(hashes) != last - first + 1 or block_hashes_root(hashes) != content.block_hashes_root:
            raise LeafUndefendable(f"the chain of session {content.session_id} was replaced since it was claimed")
        header = ClaimHeader.decode(claim.header)
        shown = ShownLeaf.of(LeafName(claim_id, index, header), contents)
        terms = Terms.decode(session.terms)
        return DefendedLeaf(store, claim, header, index, session, terms, content, shown, hashes)

    return store.read(work)
