"""The indexed Merkle tree of claims and block hashes (docs/protocol.md, section 8).

Leaves are padded with zero words to the next power of two, so a proof's length is fixed by the number of leaves.
Leaves are hashed twice before they come here, so no node can pass for a leaf.
"""

from __future__ import annotations

from collections.abc import Sequence

from exclave.protocol.constants import ZERO_HASH
from exclave.protocol.errors import InvalidField
from exclave.protocol.fields import keccak256, require_bytes


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root over at least one leaf of 32 bytes. Raises `InvalidField`."""
    return _levels(leaves)[-1][0]


def merkle_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Siblings of leaf `index`, from the leaf up. Raises `InvalidField`."""
    if not 0 <= index < len(leaves):
        raise InvalidField(f"leaf {index} of {len(leaves)}")
    proof = []
    for level in _levels(leaves)[:-1]:
        proof.append(level[index ^ 1])
        index >>= 1
    return proof


def verify_merkle_proof(root: bytes, leaf: bytes, index: int, count: int, proof: Sequence[bytes]) -> bool:
    """Whether `leaf` is the one at `index` of the tree over `count` leaves. Never raises for wrong proofs."""
    if not 0 <= index < count or len(proof) != (count - 1).bit_length():
        return False
    if any(len(sibling) != 32 for sibling in proof):
        return False
    node = leaf
    for sibling in proof:
        node = keccak256(sibling + node) if index & 1 else keccak256(node + sibling)
        index >>= 1
    return node == root


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    if not leaves:
        raise InvalidField("a Merkle tree needs at least one leaf")
    for leaf in leaves:
        require_bytes("leaf", leaf, 32)
    padded = 1 << (len(leaves) - 1).bit_length()
    level = [*leaves, *[ZERO_HASH] * (padded - len(leaves))]
    levels = [level]
    while len(level) > 1:
        level = [keccak256(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        levels.append(level)
    return levels
