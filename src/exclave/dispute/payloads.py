"""Calls of the dispute contract, its events, and the structures in them (`contracts/src/interfaces/DisputeTypes.sol`).
No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from exclave import contracts
from exclave.l1.payloads import encode_call, encode_creation
from exclave.l1.values import L1Log
from exclave.protocol import ClaimHeader, SessionClaim, SessionConfig, Terms, address_bytes
from exclave.protocol.claims import CLAIM_HEADER_ABI, SESSION_CLAIM_ABI, block_hash_leaf
from exclave.protocol.errors import DecodeError
from exclave.protocol.fields import decode_abi, decode_abi_loosely, keccak256
from exclave.protocol.merkle import merkle_proof
from exclave.prover import Proof

HASHES_TOGETHER: Final = 1024
"""Block hashes that are demanded and answered together: `2 ** HASH_LEVELS` of the contract."""

_LEAF_NAME_ABI: Final = f"(uint64,uint32,{CLAIM_HEADER_ABI})"
SHOWN_LEAF_ABI: Final = f"({_LEAF_NAME_ABI},{SESSION_CLAIM_ABI},bytes32[])"
_SHOWN_HASH_ABI: Final = "(uint64,bytes32,bytes32[])"


class DisputeKind(IntEnum):
    """What is asked of a claim."""

    LEAF = 0  # its content
    HASHES = 1  # up to 1,024 of its block hashes
    BLOCK = 2  # a block's header and transactions
    CHALLENGE = 3  # a proof that a block is a valid child of the one before


class DisputeStatus(IntEnum):
    """Of one dispute."""

    NONE = 0
    OPEN = 1
    CLOSED = 2  # answered, or its bond was given back


@dataclass(frozen=True, slots=True)
class DisputeRules:
    """What a dispute contract is built with. Amounts in wei, the gas price in wei a gas, `burnt_share` in basis points,
    times in seconds. The defaults are those of docs/disputes.md for L1's main network.
    """

    gas_price: int
    proving_cost: int
    challenge_bond: int
    operator_stake: int
    burnt_share: int
    proof_window: int
    answer_window: int
    response_time: int
    stake_delay: int

    def as_abi_tuple(self) -> tuple[int, ...]:
        """The struct's members in ABI order."""
        return (
            self.gas_price,
            self.proving_cost,
            self.challenge_bond,
            self.operator_stake,
            self.burnt_share,
            self.proof_window,
            self.answer_window,
            self.response_time,
            self.stake_delay,
        )

    @classmethod
    def decode(cls, data: bytes) -> DisputeRules:
        """From what `rules()` answers. Raises `DecodeError`."""
        types = ["uint96", "uint96", "uint96", "uint96", "uint16", "uint32", "uint32", "uint32", "uint32"]
        return cls(*decode_abi(types, data))


@dataclass(frozen=True, slots=True)
class LeafName:
    """Names a leaf of a claim."""

    claim_id: int
    index: int
    header: ClaimHeader

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The struct's members in ABI order."""
        return (self.claim_id, self.index, self.header.as_abi_tuple())


@dataclass(frozen=True, slots=True)
class LeafContent:
    """What a leaf says (`SessionClaim` of the contracts), which may be anything: it names its session by `config_hash`
    alone, and its numbers need not make sense.
    """

    config_hash: bytes
    result_hash: bytes
    inbox_hash: bytes
    first_number: int
    last_timestamp: int
    inbox_count: int
    seed: bytes
    last_number: int
    last_hash: bytes
    block_hashes_root: bytes

    @classmethod
    def of(cls, claim: SessionClaim) -> LeafContent:
        """Of a claim that is to be made, or should have been."""
        return cls._from_abi_tuple(claim.as_abi_tuple())

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The struct's members in ABI order."""
        chain = (self.seed, self.last_number, self.last_hash, self.block_hashes_root)
        return (
            self.config_hash,
            self.result_hash,
            self.inbox_hash,
            self.first_number,
            self.last_timestamp,
            self.inbox_count,
            chain,
        )

    @classmethod
    def _from_abi_tuple(cls, values: Any) -> LeafContent:
        *members, chain = values
        return cls(*members, *chain)


@dataclass(frozen=True, slots=True)
class ShownLeaf:
    """A leaf with its content and the proof that it is under the claim's root."""

    name: LeafName
    content: LeafContent
    proof: tuple[bytes, ...]

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The struct's members in ABI order."""
        return (self.name.as_abi_tuple(), self.content.as_abi_tuple(), list(self.proof))

    @classmethod
    def of(cls, name: LeafName, leaves: Sequence[SessionClaim]) -> ShownLeaf:
        """One of a claim's leaves, all of which are given."""
        proof = merkle_proof([leaf.leaf() for leaf in leaves], name.index)
        return cls(name, LeafContent.of(leaves[name.index]), tuple(proof))


@dataclass(frozen=True, slots=True)
class ShownHash:
    """The hash of a claimed block, and the proof that it is under the leaf's `blockHashesRoot`."""

    number: int
    block_hash: bytes
    proof: tuple[bytes, ...]

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The struct's members in ABI order."""
        return (self.number, self.block_hash, list(self.proof))

    @classmethod
    def of(cls, hashes: Sequence[bytes], first: int, number: int) -> ShownHash:
        """One of a range's hashes, all of which are given, from block `first` on."""
        proof = merkle_proof([block_hash_leaf(block_hash) for block_hash in hashes], number - first)
        return cls(number, hashes[number - first], tuple(proof))


@dataclass(frozen=True, slots=True)
class Opening:
    """What block 0 of a session is made of besides its configuration."""

    state_root: bytes
    data_hash: bytes
    players: tuple[bytes, ...]
    init_data: bytes

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The struct's members in ABI order."""
        return (self.state_root, self.data_hash, list(self.players), self.init_data)


@dataclass(frozen=True, slots=True)
class SignedBlock:
    """A preconfirmation: an operator's signature of a block, 65 bytes r, s, v."""

    session_id: int
    number: int
    block_hash: bytes
    signature: bytes

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The struct's members in ABI order."""
        return (self.session_id, self.number, self.block_hash, self.signature)


def evidence_tuple(proof: Proof) -> tuple[Any, ...]:
    """`Evidence`: what a proof says beyond what the claim gives, in ABI order. L1 has verified the proof before."""
    statement = proof.statement
    return (
        statement.prover,
        statement.result_hash,
        statement.inbox_hash,
        statement.to_number,
        statement.to_timestamp,
        [recovery.as_abi_tuple() for recovery in proof.recoveries],
        proof.proof[: proof.head],
    )


# ---- calls


def encode_dispute_game(zk_relayer: bytes, rules: DisputeRules) -> bytes:
    """The data of the transaction that creates a dispute contract. It creates `stakes`, `facts` and `settler`."""
    return encode_creation(contracts.load("DisputeGame"), zk_relayer, rules.as_abi_tuple())


def encode_demand_leaf(name: LeafName) -> bytes:
    """`demandLeaf`."""
    return _call("demandLeaf", name.as_abi_tuple())


def encode_demand_hashes(leaf: ShownLeaf, position: int) -> bytes:
    """`demandHashes`: those from `HASHES_TOGETHER * position` on, counted from the range's first."""
    return _call("demandHashes", leaf.as_abi_tuple(), position)


def encode_demand_block(leaf: ShownLeaf, number: int) -> bytes:
    """`demandBlock`."""
    return _call("demandBlock", leaf.as_abi_tuple(), number)


def encode_answer_leaf(leaf: ShownLeaf) -> bytes:
    """`answerLeaf`."""
    return _call("answerLeaf", leaf.as_abi_tuple())


def encode_answer_hashes(leaf: ShownLeaf, position: int, hashes: Sequence[bytes]) -> bytes:
    """`answerHashes`, of all of the range's hashes."""
    start = HASHES_TOGETHER * position
    leaves = [block_hash_leaf(block_hash) for block_hash in hashes]
    # The siblings above the subtree of these hashes.
    proof = merkle_proof(leaves, start)[(HASHES_TOGETHER - 1).bit_length() :]
    return _call("answerHashes", leaf.as_abi_tuple(), position, list(hashes[start : start + HASHES_TOGETHER]), proof)


def encode_answer_block(
    leaf: ShownLeaf, parent: ShownHash, target: ShownHash, header: bytes, transactions: Sequence[bytes]
) -> bytes:
    """`answerBlock`."""
    shown = (parent.as_abi_tuple(), target.as_abi_tuple())
    return _call("answerBlock", leaf.as_abi_tuple(), *shown, header, list(transactions))


def encode_challenge(leaf: ShownLeaf, parent: ShownHash, target: ShownHash) -> bytes:
    """`challenge`."""
    return _call("challenge", leaf.as_abi_tuple(), parent.as_abi_tuple(), target.as_abi_tuple())


def encode_prove(
    leaf: ShownLeaf,
    terms: Terms,
    start: ShownHash,
    end: ShownHash,
    proof: Proof,
    *,
    challenges: Sequence[int] = (),
    blocks: Sequence[int] = (),
    hashes: Sequence[int] = (),
) -> bytes:
    """`prove`: a valid statement about the blocks after `start` up to `end`, and the open disputes that it answers."""
    shown = (start.as_abi_tuple(), end.as_abi_tuple())
    answered = (list(challenges), list(blocks), list(hashes))
    return _call("prove", leaf.as_abi_tuple(), terms.as_abi_tuple(), *shown, evidence_tuple(proof), answered)


def encode_prove_fault(leaf: ShownLeaf, terms: Terms, parent: ShownHash, target: ShownHash, proof: Proof) -> bytes:
    """`proveFault`."""
    shown = (parent.as_abi_tuple(), target.as_abi_tuple())
    return _call("proveFault", leaf.as_abi_tuple(), terms.as_abi_tuple(), *shown, evidence_tuple(proof))


def encode_disprove_range(leaf: ShownLeaf, terms: Terms, last: ShownHash) -> bytes:
    """`disproveRange`."""
    return _call("disproveRange", leaf.as_abi_tuple(), terms.as_abi_tuple(), last.as_abi_tuple())


def encode_disprove_genesis(
    leaf: ShownLeaf, terms: Terms, config: SessionConfig, opening: Opening, first: ShownHash
) -> bytes:
    """`disproveGenesis`."""
    about = (config.as_abi_tuple(), opening.as_abi_tuple(), first.as_abi_tuple())
    return _call("disproveGenesis", leaf.as_abi_tuple(), terms.as_abi_tuple(), *about)


def encode_disprove_seed(leaf: ShownLeaf, terms: Terms, config: SessionConfig, l1_header: bytes) -> bytes:
    """`disproveSeed`: `l1_header` is RLP of the header of L1's block `openedBlock + 1`."""
    return _call("disproveSeed", leaf.as_abi_tuple(), terms.as_abi_tuple(), config.as_abi_tuple(), l1_header)


def encode_contradict(
    leaf: ShownLeaf, terms: Terms, config: SessionConfig, claimed: ShownHash, signed: SignedBlock
) -> bytes:
    """`contradict`."""
    about = (config.as_abi_tuple(), claimed.as_abi_tuple(), signed.as_abi_tuple())
    return _call("contradict", leaf.as_abi_tuple(), terms.as_abi_tuple(), *about)


def encode_resolve(name: LeafName, kind: DisputeKind, number: int) -> bytes:
    """`resolve`: a dispute that wasn't answered in time."""
    return _call("resolve", name.as_abi_tuple(), int(kind), number)


def encode_release(name: LeafName) -> bytes:
    """`release`."""
    return _call("release", name.as_abi_tuple())


def encode_reclaim(claim_id: int, index: int, kind: DisputeKind, number: int) -> bytes:
    """`reclaim`: the bond of a dispute about a leaf that died of another one."""
    return _call("reclaim", claim_id, index, int(kind), number)


def encode_rules() -> bytes:
    """`rules`."""
    return _call("rules")


def encode_bond_of(kind: DisputeKind) -> bytes:
    """`bondOf`: wei that opening a dispute of this kind locks."""
    return _call("bondOf", int(kind))


def encode_dispute_of(claim_id: int, index: int, kind: DisputeKind, number: int) -> bytes:
    """`disputeOf`."""
    return _call("disputeOf", claim_id, index, int(kind), number)


def encode_leaf_state(claim_id: int, index: int) -> bytes:
    """`leafState`."""
    return _call("leafState", claim_id, index)


def _call(name: str, *arguments: Any) -> bytes:
    return encode_call(contracts.load("DisputeGame"), name, *arguments)


# ---- answers of views


@dataclass(frozen=True, slots=True)
class LeafState:
    """How a leaf stands: disputes that are open, up to which block a proof leads from the range's first (0: none does),
    and until when answers can be acted upon (seconds since 1970).
    """

    open: int
    held: bool
    killed: bool
    proven_to: int
    until: int

    @classmethod
    def decode(cls, data: bytes) -> LeafState:
        """From what `leafState` answers. Raises `DecodeError`."""
        return cls(*decode_abi(["uint256", "bool", "bool", "uint64", "uint256"], data))


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute: who opened it (zero if nobody did), and until when it must be answered (seconds since 1970)."""

    status: DisputeStatus
    opener: bytes
    deadline: int

    @classmethod
    def decode(cls, data: bytes) -> Dispute:
        """From what `disputeOf` answers. Raises `DecodeError`."""
        status, opener, deadline = decode_abi(["uint8", "address", "uint256"], data)
        return cls(DisputeStatus(status), address_bytes(opener), deadline)


# ---- what answers showed, from the data of their transactions


def read_answered_leaf(data: bytes) -> ShownLeaf:
    """The leaf in the data of an `answerLeaf` transaction. Raises `DecodeError`."""
    (leaf,) = _arguments("answerLeaf", [SHOWN_LEAF_ABI], data)
    return _shown_leaf(leaf)


def read_answered_hashes(data: bytes) -> tuple[ShownLeaf, int, list[bytes]]:
    """Leaf, position and hashes in the data of an `answerHashes` transaction. Raises `DecodeError`."""
    leaf, position, hashes, _ = _arguments("answerHashes", [SHOWN_LEAF_ABI, "uint64", "bytes32[]", "bytes32[]"], data)
    return _shown_leaf(leaf), position, list(hashes)


def read_answered_block(data: bytes) -> tuple[ShownLeaf, ShownHash, ShownHash, bytes, list[bytes]]:
    """Leaf, parent, block, header and transactions in an `answerBlock` transaction's data. Raises `DecodeError`."""
    types = [SHOWN_LEAF_ABI, _SHOWN_HASH_ABI, _SHOWN_HASH_ABI, "bytes", "bytes[]"]
    leaf, parent, target, header, transactions = _arguments("answerBlock", types, data)
    return _shown_leaf(leaf), _shown_hash(parent), _shown_hash(target), header, list(transactions)


def _arguments(function: str, types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    selector = keccak256(f"{function}({','.join(types)})".encode())[:4]
    if data[:4] != selector:
        raise DecodeError(f"not a call of {function}")
    return decode_abi_loosely(types, data[4:])


def _shown_leaf(values: Any) -> ShownLeaf:
    (claim_id, index, header), content, proof = values
    name = LeafName(claim_id, index, ClaimHeader.from_abi_tuple(header))
    return ShownLeaf(name, LeafContent._from_abi_tuple(content), tuple(proof))


def _shown_hash(values: Any) -> ShownHash:
    number, block_hash, proof = values
    return ShownHash(number, block_hash, tuple(proof))


# ---- events


@dataclass(frozen=True, slots=True)
class DisputeOpened:
    """Somebody asks something of a leaf; `bond` in wei, `deadline` in seconds since 1970."""

    claim_id: int
    index: int
    kind: DisputeKind
    number: int
    opener: bytes
    bond: int
    deadline: int


@dataclass(frozen=True, slots=True)
class DisputeAnswered:
    """A dispute was answered; `paid` wei of its bond went to `answerer`."""

    claim_id: int
    index: int
    kind: DisputeKind
    number: int
    answerer: bytes
    paid: int


@dataclass(frozen=True, slots=True)
class LeafUnproven:
    """A dispute wasn't answered in time: the leaf is dead."""

    claim_id: int
    index: int
    winner: bytes


@dataclass(frozen=True, slots=True)
class LeafProvenWrong:
    """The leaf was shown to be wrong, and is dead."""

    claim_id: int
    index: int
    winner: bytes


@dataclass(frozen=True, slots=True)
class LeafContradicted:
    """The operator has signed other blocks: the leaf is dead."""

    claim_id: int
    index: int
    reporter: bytes


@dataclass(frozen=True, slots=True)
class BondReclaimed:
    """The leaf died of another dispute: this one's bond went back to `opener`."""

    claim_id: int
    index: int
    kind: DisputeKind
    number: int
    opener: bytes


DisputeEvent = DisputeOpened | DisputeAnswered | BondReclaimed | LeafUnproven | LeafProvenWrong | LeafContradicted

SIGNATURES: Final = {
    "DisputeOpened": "DisputeOpened(uint64,uint32,uint8,uint64,address,uint256,uint256)",
    "DisputeAnswered": "DisputeAnswered(uint64,uint32,uint8,uint64,address,uint256)",
    "BondReclaimed": "BondReclaimed(uint64,uint32,uint8,uint64,address)",
    "LeafUnproven": "LeafUnproven(uint64,uint32,address)",
    "LeafProvenWrong": "LeafProvenWrong(uint64,uint32,address)",
    "LeafContradicted": "LeafContradicted(uint64,uint32,address)",
}
TOPICS: Final = {keccak256(signature.encode()): name for name, signature in SIGNATURES.items()}


def read_event(log: L1Log) -> DisputeEvent | None:
    """The event of a log of the dispute contract, None for others. Raises `DecodeError`."""
    name = TOPICS.get(log.topics[0]) if log.topics else None
    if name is None:
        return None
    if len(log.topics) != (3 if name.startswith("Leaf") else 4):
        raise DecodeError(f"not a {name}")
    claim_id, index = (int.from_bytes(topic, "big") for topic in log.topics[1:3])
    if name == "DisputeOpened":
        number, opener, bond, deadline = decode_abi(["uint64", "address", "uint256", "uint256"], log.data)
        return DisputeOpened(claim_id, index, _kind(log), number, address_bytes(opener), bond, deadline)
    if name == "DisputeAnswered":
        number, answerer, paid = decode_abi(["uint64", "address", "uint256"], log.data)
        return DisputeAnswered(claim_id, index, _kind(log), number, address_bytes(answerer), paid)
    if name == "BondReclaimed":
        number, opener = decode_abi(["uint64", "address"], log.data)
        return BondReclaimed(claim_id, index, _kind(log), number, address_bytes(opener))
    (who,) = decode_abi(["address"], log.data)
    if name == "LeafUnproven":
        return LeafUnproven(claim_id, index, address_bytes(who))
    if name == "LeafProvenWrong":
        return LeafProvenWrong(claim_id, index, address_bytes(who))
    return LeafContradicted(claim_id, index, address_bytes(who))


def _kind(log: L1Log) -> DisputeKind:
    try:
        return DisputeKind(int.from_bytes(log.topics[3], "big"))
    except ValueError as error:
        raise DecodeError(f"an unknown kind of dispute: {error}") from error
