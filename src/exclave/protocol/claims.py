"""Claims over sessions' results (docs/protocol.md, section 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from exclave.protocol.constants import ZERO_HASH
from exclave.protocol.errors import DecodeError, InvalidField
from exclave.protocol.fields import decode_abi, encode_abi, keccak256, require_bytes, require_unsigned
from exclave.protocol.merkle import merkle_proof, merkle_root
from exclave.protocol.session import SessionConfig
from exclave.protocol.terms import address_bytes

CLAIM_HEADER_ABI: Final = "(bytes32,bytes32,address,uint96,uint32,uint32,uint32,uint64)"
SETTLEMENT_ABI: Final = "(uint64,uint64,address,bytes32,uint64,uint64,uint64,bytes32,bytes)"
CLAIMED_CHAIN_ABI: Final = "(bytes32,uint64,bytes32,bytes32)"
SESSION_CLAIM_ABI: Final = f"(bytes32,bytes32,bytes32,uint64,uint64,uint64,{CLAIMED_CHAIN_ABI})"
_STORED_ABI: Final = f"(uint64,{SESSION_CLAIM_ABI})"


@dataclass(frozen=True, slots=True)
class SessionClaim:
    """What a claim says of one session: a leaf of the claim's tree.

    `block_hashes_root` covers blocks `first_number` to `last_number`, both included: block `first_number` is the
    anchor (block 0, or the last block of an earlier checkpoint) from which the others are executed.
    """

    session_id: int
    config_hash: bytes
    seed: bytes
    first_number: int
    last_number: int
    last_timestamp: int
    last_hash: bytes
    block_hashes_root: bytes
    result_hash: bytes
    inbox_count: int
    inbox_hash: bytes

    def __post_init__(self) -> None:
        for name in ("session_id", "first_number", "last_number", "last_timestamp", "inbox_count"):
            require_unsigned(name, getattr(self, name), 64)
        for name in ("config_hash", "seed", "last_hash", "block_hashes_root", "result_hash", "inbox_hash"):
            require_bytes(name, getattr(self, name), 32)
        if self.first_number > self.last_number:
            raise InvalidField(f"claim of blocks {self.first_number} to {self.last_number}")

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The struct's members in ABI order. `configHash` names the session."""
        return (
            self.config_hash,
            self.result_hash,
            self.inbox_hash,
            self.first_number,
            self.last_timestamp,
            self.inbox_count,
            self.chain_as_abi_tuple(),
        )

    def chain_as_abi_tuple(self) -> tuple[Any, ...]:
        """The members of the struct's `ClaimedChain` in ABI order."""
        return (self.seed, self.last_number, self.last_hash, self.block_hashes_root)

    def chain_hash(self) -> bytes:
        """`chainHash`, which stands for the blocks in the leaf."""
        return keccak256(encode_abi([CLAIMED_CHAIN_ABI], [self.chain_as_abi_tuple()]))

    def encode(self) -> bytes:
        """All there is to a claim, as it is stored: `abi.encode(sessionId, SessionClaim)` as one tuple."""
        return encode_abi([_STORED_ABI], [(self.session_id, self.as_abi_tuple())])

    @classmethod
    def decode(cls, data: bytes) -> SessionClaim:
        """Inverse of `encode`. Raises `DecodeError`."""
        ((session_id, members),) = decode_abi([_STORED_ABI], data)
        config_hash, result_hash, inbox_hash, first_number, last_timestamp, inbox_count, chain = members
        seed, last_number, last_hash, block_hashes_root = chain
        try:
            return cls(
                session_id=session_id,
                config_hash=config_hash,
                seed=seed,
                first_number=first_number,
                last_number=last_number,
                last_timestamp=last_timestamp,
                last_hash=last_hash,
                block_hashes_root=block_hashes_root,
                result_hash=result_hash,
                inbox_count=inbox_count,
                inbox_hash=inbox_hash,
            )
        except (TypeError, ValueError) as error:
            raise DecodeError(f"not a session claim: {error}") from error

    def leaf(self) -> bytes:
        """The claim as a leaf of the Merkle tree, hashed twice."""
        members = (*self.as_abi_tuple()[:-1], self.chain_hash())
        types = ["bytes32", "bytes32", "bytes32", "uint64", "uint64", "uint64", "bytes32"]
        return keccak256(keccak256(encode_abi(types, members)))


@dataclass(frozen=True, slots=True)
class ClaimHeader:
    """A claim's parameters, of which L1 keeps the hash. `claim_bond` in wei a leaf, times in seconds, gas in gas."""

    root: bytes
    terms_hash: bytes
    dispute_game: bytes
    claim_bond: int
    challenge_window: int
    callback_gas: int
    count: int
    claimed_at: int

    def __post_init__(self) -> None:
        require_bytes("root", self.root, 32)
        require_bytes("terms_hash", self.terms_hash, 32)
        require_bytes("dispute_game", self.dispute_game, 20)
        require_unsigned("claim_bond", self.claim_bond, 96)
        for name in ("challenge_window", "callback_gas", "count"):
            require_unsigned(name, getattr(self, name), 32)
        require_unsigned("claimed_at", self.claimed_at, 64)

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The struct's members in ABI order."""
        return (
            self.root,
            self.terms_hash,
            self.dispute_game,
            self.claim_bond,
            self.challenge_window,
            self.callback_gas,
            self.count,
            self.claimed_at,
        )

    @classmethod
    def from_abi_tuple(cls, values: Any) -> ClaimHeader:
        """From the members in ABI order, the dispute contract as a `0x` string or bytes. Raises `DecodeError`."""
        try:
            root, terms_hash, dispute_game, *numbers = values
            return cls(bytes(root), bytes(terms_hash), address_bytes(dispute_game), *numbers)
        except (TypeError, ValueError) as error:
            raise DecodeError(f"not a claim's header: {error}") from error

    def encode(self) -> bytes:
        """`abi.encode(ClaimHeader)`, of which L1 keeps the hash."""
        return encode_abi([CLAIM_HEADER_ABI], [self.as_abi_tuple()])

    @classmethod
    def decode(cls, data: bytes) -> ClaimHeader:
        """Inverse of `encode`. Raises `DecodeError`."""
        return cls.from_abi_tuple(decode_abi([CLAIM_HEADER_ABI], data)[0])


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a range starts that doesn't start at block 0: its first block's hash, proven under `blockHashesRoot`."""

    block_hash: bytes
    proof: tuple[bytes, ...]

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The struct's members in ABI order."""
        return (self.block_hash, list(self.proof))


NO_ANCHOR: Final = Anchor(ZERO_HASH, ())
"""For ranges that start at block 0."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """One leaf to settle or (with an empty result) to confirm as a checkpoint, as far as L1 can't derive it itself."""

    config: SessionConfig
    leaf: SessionClaim
    result: bytes

    def __post_init__(self) -> None:
        require_bytes("result", self.result)
        if keccak256(self.result) != self.leaf.result_hash and (self.result or self.leaf.result_hash != ZERO_HASH):
            raise InvalidField(f"session {self.leaf.session_id}: the result is not the claimed one")

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The struct's members in ABI order."""
        return (
            self.config.session_id,
            self.config.opened_at,
            self.config.game,
            self.config.setup_hash(),
            self.leaf.first_number,
            self.leaf.last_timestamp,
            self.leaf.inbox_count,
            self.leaf.chain_hash(),
            self.result,
        )


def block_hash_leaf(block_hash: bytes) -> bytes:
    """A block's hash as a leaf, hashed twice."""
    require_bytes("block_hash", block_hash, 32)
    return keccak256(keccak256(block_hash))


def block_hashes_root(block_hashes: Sequence[bytes]) -> bytes:
    """Merkle root over block hashes in order."""
    return merkle_root([block_hash_leaf(block_hash) for block_hash in block_hashes])


def block_hash_proof(block_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Merkle proof of the hash at `index` (counted from the range's first block)."""
    return merkle_proof([block_hash_leaf(block_hash) for block_hash in block_hashes], index)
