"""What was shown on L1 about a leaf's block hashes, and the Merkle proofs that follow from it. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from exclave.dispute.payloads import HASHES_TOGETHER, SHOWN_LEAF_ABI, ShownHash, ShownLeaf, read_answered_hashes
from exclave.protocol.claims import block_hash_leaf
from exclave.protocol.constants import ZERO_HASH
from exclave.protocol.errors import DecodeError
from exclave.protocol.fields import decode_abi_loosely
from exclave.protocol.merkle import merkle_proof, verify_merkle_proof


@dataclass(frozen=True, slots=True)
class ShownHashes:
    """The block hashes of one position, and the proof of their node under the leaf's `blockHashesRoot`."""

    leaf: ShownLeaf
    position: int
    hashes: tuple[bytes, ...]
    proof: tuple[bytes, ...]

    @classmethod
    def read(cls, data: bytes) -> ShownHashes:
        """From the data of an `answerHashes` call. Raises `DecodeError`."""
        leaf, position, hashes = read_answered_hashes(data)
        *_, proof = decode_abi_loosely([SHOWN_LEAF_ABI, "uint64", "bytes32[]", "bytes32[]"], data[4:])
        return cls(leaf, position, tuple(hashes), tuple(proof))


@dataclass
class ClaimedHashes:
    """A leaf's block hashes, as far as they are known, from block `first` on; `count` are claimed."""

    first: int
    count: int
    root: bytes
    _chunks: dict[int, tuple[tuple[bytes, ...], tuple[bytes, ...]]] = field(default_factory=dict)

    def add(self, shown: ShownHashes) -> None:
        """What an answer showed. Raises `DecodeError` if it isn't under the root (L1 has checked it)."""
        self._chunks[shown.position] = (shown.hashes, shown.proof)
        number = self.first + shown.position * HASHES_TOGETHER
        proof = self.show(number)
        leaf = block_hash_leaf(proof.block_hash)
        if not verify_merkle_proof(self.root, leaf, number - self.first, self.count, proof.proof):
            del self._chunks[shown.position]
            raise DecodeError(f"the hashes at position {shown.position} aren't the leaf's")

    def add_all(self, hashes: Sequence[bytes]) -> None:
        """All of the range's hashes, which have the leaf's root."""
        leaves = [block_hash_leaf(block_hash) for block_hash in hashes]
        levels = (HASHES_TOGETHER - 1).bit_length()
        for position, start in enumerate(range(0, len(hashes), HASHES_TOGETHER)):
            proof = merkle_proof(leaves, start)[levels:]
            self._chunks[position] = (tuple(hashes[start : start + HASHES_TOGETHER]), tuple(proof))

    def knows(self, position: int) -> bool:
        """Whether the hashes of a position are known."""
        return position in self._chunks

    def get(self, number: int) -> bytes | None:
        """The hash of a block, None where it isn't known."""
        position, index = divmod(number - self.first, HASHES_TOGETHER)
        chunk = self._chunks.get(position)
        return chunk[0][index] if chunk and index < len(chunk[0]) else None

    def show(self, number: int) -> ShownHash:
        """A known hash with its proof."""
        position, index = divmod(number - self.first, HASHES_TOGETHER)
        hashes, above = self._chunks[position]
        leaves = [block_hash_leaf(block_hash) for block_hash in hashes]
        if self.count > HASHES_TOGETHER:
            leaves += [ZERO_HASH] * (HASHES_TOGETHER - len(leaves))
        return ShownHash(number, hashes[index], (*merkle_proof(leaves, index), *above))
