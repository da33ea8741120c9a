"""Calls of what the dispute contract, ZkRelayer and OperatorStakes have in common, and of OperatorStakes. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from exclave import contracts
from exclave.dispute.payloads import SignedBlock
from exclave.l1.payloads import encode_call
from exclave.protocol import address_bytes
from exclave.protocol.fields import decode_abi


@dataclass(frozen=True, slots=True)
class BondAccount:
    """An account's deposit, in wei: what it can withdraw, and what its disputes or claims have locked."""

    available: int
    locked: int

    @classmethod
    def decode(cls, data: bytes) -> BondAccount:
        """From what `bondAccount` answers. Raises `DecodeError`."""
        return cls(*decode_abi(["uint256", "uint256"], data))


def encode_bond_account(account: bytes) -> bytes:
    """`IBondAccounts.bondAccount`."""
    return encode_call(contracts.load("DisputeGame"), "bondAccount", account)


def encode_withdraw(amount: int, to: bytes) -> bytes:
    """`IBondAccounts.withdraw`: `amount` in wei."""
    return encode_call(contracts.load("DisputeGame"), "withdraw", amount, to)


def encode_stakes() -> bytes:
    """`IDisputeGame.stakes`: where operators have their stakes."""
    return encode_call(contracts.load("DisputeGame"), "stakes")


def decode_address(data: bytes) -> bytes:
    """From what a view of an address answers. Raises `DecodeError`."""
    (value,) = decode_abi(["address"], data)
    return address_bytes(value)


def encode_facts() -> bytes:
    """`IDisputeGame.facts`: where L1's own block hashes are kept."""
    return encode_call(contracts.load("DisputeGame"), "facts")


def encode_record_block_hash(number: int) -> bytes:
    """`IBlockFacts.recordBlockHash`: of one of L1's last 8,191 blocks."""
    return encode_call(contracts.load("BlockFacts"), "recordBlockHash", number)


def encode_recorded_block_hash(number: int) -> bytes:
    """`IBlockFacts.recordedBlockHash`."""
    return encode_call(contracts.load("BlockFacts"), "recordedBlockHash", number)


def encode_stake_of(operator: bytes) -> bytes:
    """`IOperatorStakes.stakeOf`."""
    return encode_call(contracts.load("OperatorStakes"), "stakeOf", operator)


def decode_stake(data: bytes) -> int:
    """What can be slashed of an operator, in wei, from what `stakeOf` answers. Raises `DecodeError`."""
    staying, leaving, _until = decode_abi(["uint256", "uint256", "uint256"], data)
    return int(staying) + int(leaving)


def encode_is_slashed(operator: bytes, session_id: int) -> bytes:
    """`IOperatorStakes.isSlashed`, for what was signed in a session."""
    offence = session_id.to_bytes(32, "big")
    return encode_call(contracts.load("OperatorStakes"), "isSlashed", operator, offence)


def decode_flag(data: bytes) -> bool:
    """From what a view of a truth value answers. Raises `DecodeError`."""
    (value,) = decode_abi(["bool"], data)
    return bool(value)


def encode_report_equivocation(one: SignedBlock, other: SignedBlock) -> bytes:
    """`IOperatorStakes.reportEquivocation`: two signatures of one session and number."""
    artifact = contracts.load("OperatorStakes")
    return encode_call(artifact, "reportEquivocation", one.as_abi_tuple(), other.block_hash, other.signature)
