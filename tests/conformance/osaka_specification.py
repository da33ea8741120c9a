"""Blocks of a session by Ethereum's execution specifications (EELS), fork Osaka.

They share no code with the state-transition function.

Only the transaction-level functions are used: sessions have no system calls at block boundaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from coincurve import PrivateKey
from ethereum.crypto.hash import Hash32, keccak256
from ethereum.exceptions import EthereumException, InvalidTransaction
from ethereum.forks.osaka import vm
from ethereum.forks.osaka.blocks import Header
from ethereum.forks.osaka.bloom import logs_bloom
from ethereum.forks.osaka.fork import EMPTY_OMMER_HASH, process_transaction
from ethereum.forks.osaka.fork_types import Account, Address, Authorization
from ethereum.forks.osaka.state import State, get_account, set_account, set_storage, state_root
from ethereum.forks.osaka.transactions import (
    Access,
    AccessListTransaction,
    FeeMarketTransaction,
    LegacyTransaction,
    SetCodeTransaction,
    Transaction,
    encode_transaction,
    signing_hash_155,
    signing_hash_1559,
    signing_hash_2930,
    signing_hash_7702,
)
from ethereum.forks.osaka.trie import Trie, root, trie_get, trie_set
from ethereum.forks.osaka.vm.precompiled_contracts import point_evaluation
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes, Bytes0, Bytes8, Bytes32
from ethereum_types.numeric import U8, U64, U256, Uint

from exclave.protocol import GenesisAccount

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
GAS_LIMIT = 30_000_000
# The one price of sessions that isn't Osaka's (docs/protocol.md, section 5).
point_evaluation.GAS_POINT_EVALUATION = Uint(1_000_000)
EMPTY_TRIE_ROOT = root(Trie(secured=False, default=None))


@dataclass(frozen=True)
class Key:
    """A player's key."""

    secret: PrivateKey
    address: bytes

    @classmethod
    def from_seed(cls, seed: int) -> Key:
        secret = PrivateKey(bytes(keccak256(b"key%d" % seed)))
        return cls(secret, bytes(keccak256(secret.public_key.format(compressed=False)[1:]))[12:])

    def sign(self, digest: bytes) -> tuple[int, int, int]:
        """y parity, r, s."""
        signature = self.secret.sign_recoverable(digest, hasher=None)
        return signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")


@dataclass(frozen=True)
class Delegation:
    """An EIP-7702 authorization; the nonce is relative to the authority's when the transaction is made."""

    authority: Key
    target: bytes
    nonce_offset: int = 0
    chain_id: int | None = None
    fault: str = ""


@dataclass(frozen=True)
class TransactionRequest:
    """A transaction before it is signed; the nonce is relative to the sender's. Prices and value in wei."""

    sender: Key
    kind: int
    to: bytes
    data: bytes = b""
    gas: int = 1_000_000
    value: int = 0
    price: int = 0
    priority: int = 0
    nonce_offset: int = 0
    wrong_chain: bool = False
    fault: str = ""
    access_list: tuple[tuple[bytes, tuple[int, ...]], ...] = ()
    delegations: tuple[Delegation, ...] = ()


@dataclass
class BlockResult:
    """What the specification says about a block: which transactions are valid, and if any is, header and receipts."""

    transactions: list[bytes] = field(default_factory=list)
    is_valid: list[bool] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    header: bytes | None = None
    receipts: list[bytes] = field(default_factory=list)


def spoil(fault: str, parity: int, r: int, s: int) -> tuple[int, int, int]:
    """A signature with one thing wrong."""
    match fault:
        case "high s":
            return 1 - parity, r, CURVE_ORDER - s
        case "zero r":
            return parity, 0, s
        case "other":
            return parity, r, s - 1 or 1
        case "large s":
            return parity, r, CURVE_ORDER
    return parity, r, s


class Specification:
    """A chain that starts from given accounts."""

    def __init__(self, accounts: Sequence[GenesisAccount], chain_id: int, seed: bytes, timestamp: int) -> None:
        self.chain_id = U64(chain_id)
        self.state = State()
        for account in accounts:
            address = Address(account.address)
            set_account(self.state, address, Account(Uint(account.nonce), U256(account.balance), Bytes(account.code)))
            for slot, value in account.storage.items():
                set_storage(self.state, address, Bytes32(slot.to_bytes(32, "big")), U256(value))
        self.parent = Header(
            parent_hash=Hash32(bytes(32)),
            ommers_hash=EMPTY_OMMER_HASH,
            coinbase=Address(bytes(20)),
            state_root=state_root(self.state),
            transactions_root=EMPTY_TRIE_ROOT,
            receipt_root=EMPTY_TRIE_ROOT,
            bloom=logs_bloom(()),
            difficulty=Uint(0),
            number=Uint(0),
            gas_limit=Uint(GAS_LIMIT),
            gas_used=Uint(0),
            timestamp=U256(timestamp),
            extra_data=Bytes(bytes(32)),
            prev_randao=Bytes32(seed),
            nonce=Bytes8(bytes(8)),
            base_fee_per_gas=Uint(0),
            withdrawals_root=EMPTY_TRIE_ROOT,
            blob_gas_used=U64(0),
            excess_blob_gas=U64(0),
            parent_beacon_block_root=Hash32(bytes(32)),
            requests_hash=Hash32(sha256(b"").digest()),
        )
        self.hashes = [keccak256(rlp.encode(self.parent))]

    def execute(self, timestamp: int, requests: Sequence[TransactionRequest]) -> BlockResult:
        """The next block of these transactions, without the invalid ones; a block of none isn't appended."""
        environment = vm.BlockEnvironment(
            chain_id=self.chain_id,
            state=self.state,
            block_gas_limit=Uint(GAS_LIMIT),
            block_hashes=self.hashes[-256:],
            coinbase=Address(bytes(20)),
            number=self.parent.number + Uint(1),
            base_fee_per_gas=Uint(0),
            time=U256(timestamp),
            prev_randao=Bytes32(keccak256(self.parent.prev_randao)),
            excess_blob_gas=U64(0),
            parent_beacon_block_root=Hash32(bytes(32)),
        )
        output = vm.BlockOutput()
        result = BlockResult()
        for request in requests:
            transaction = self.sign(request)
            encoded = encode_transaction(transaction)
            result.transactions.append(bytes(encoded) if isinstance(encoded, bytes) else rlp.encode(encoded))
            index = Uint(len(output.receipt_keys))
            try:
                if request.kind and request.wrong_chain:
                    # EIP-2930 and its successors demand it; these functions leave it to their callers.
                    raise InvalidTransaction("chain id")
                process_transaction(environment, output, transaction, index)
            except EthereumException as error:
                # Put there before the transaction was checked.
                trie_set(output.transactions_trie, rlp.encode(index), None)
                result.is_valid.append(False)
                result.reasons.append(f"{type(error).__name__}: {error}")
            else:
                result.is_valid.append(True)
                result.reasons.append("")
        if any(result.is_valid):
            result.receipts = [self.encode_receipt(output, key) for key in output.receipt_keys]
            self.parent = Header(
                parent_hash=self.hashes[-1],
                ommers_hash=EMPTY_OMMER_HASH,
                coinbase=environment.coinbase,
                state_root=state_root(self.state),
                transactions_root=root(output.transactions_trie),
                receipt_root=root(output.receipts_trie),
                bloom=logs_bloom(output.block_logs),
                difficulty=Uint(0),
                number=environment.number,
                gas_limit=Uint(GAS_LIMIT),
                gas_used=output.block_gas_used,
                timestamp=environment.time,
                extra_data=self.parent.extra_data,
                prev_randao=environment.prev_randao,
                nonce=Bytes8(bytes(8)),
                base_fee_per_gas=Uint(0),
                withdrawals_root=EMPTY_TRIE_ROOT,
                blob_gas_used=U64(0),
                excess_blob_gas=U64(0),
                parent_beacon_block_root=environment.parent_beacon_block_root,
                requests_hash=self.parent.requests_hash,
            )
            result.header = rlp.encode(self.parent)
            self.hashes.append(keccak256(result.header))
        return result

    @staticmethod
    def encode_receipt(output: vm.BlockOutput, key: Bytes) -> bytes:
        receipt = trie_get(output.receipts_trie, key)
        return bytes(receipt) if isinstance(receipt, bytes) else rlp.encode(receipt)

    def nonce(self, address: bytes) -> int:
        return int(get_account(self.state, Address(address)).nonce)

    def sign(self, request: TransactionRequest) -> Transaction:
        """The signed transaction, with the sender's nonce at this moment."""
        nonce = max(0, self.nonce(request.sender.address) + request.nonce_offset)
        chain_id = U64(int(self.chain_id) + request.wrong_chain)
        to = Address(request.to) if request.to else Bytes0(b"")
        common = {"gas": Uint(request.gas), "to": to, "value": U256(request.value), "data": Bytes(request.data)}
        signature = {"r": U256(0), "s": U256(0)}
        access_list = tuple(
            Access(Address(address), tuple(Bytes32(slot.to_bytes(32, "big")) for slot in slots))
            for address, slots in request.access_list
        )
        fees = {"max_fee_per_gas": Uint(request.price), "max_priority_fee_per_gas": Uint(request.priority)}
        transaction: Transaction
        match request.kind:
            case 0:
                transaction = LegacyTransaction(
                    nonce=U256(nonce), gas_price=Uint(request.price), v=U256(0), **common, **signature
                )
                digest = signing_hash_155(transaction, chain_id)
            case 1:
                transaction = AccessListTransaction(
                    chain_id=chain_id, nonce=U256(nonce), gas_price=Uint(request.price), access_list=access_list,
                    y_parity=U256(0), **common, **signature,
                )  # fmt: skip
                digest = signing_hash_2930(transaction)
            case 2:
                transaction = FeeMarketTransaction(
                    chain_id=chain_id, nonce=U256(nonce), access_list=access_list, y_parity=U256(0), **fees, **common,
                    **signature,
                )  # fmt: skip
                digest = signing_hash_1559(transaction)
            case _:
                authorizations = tuple(self.authorize(request, delegation) for delegation in request.delegations)
                transaction = SetCodeTransaction(
                    chain_id=chain_id, nonce=U64(nonce), access_list=access_list, authorizations=authorizations,
                    y_parity=U256(0), **fees, **common, **signature,
                )  # fmt: skip
                digest = signing_hash_7702(transaction)
        parity, r, s = spoil(request.fault, *request.sender.sign(digest))
        fields = {name: getattr(transaction, name) for name in transaction.__dataclass_fields__}
        fields |= {"r": U256(r), "s": U256(s)}
        if request.kind == 0:
            fields["v"] = U256(35 + 2 * int(chain_id) + parity)
        else:
            fields["y_parity"] = U256(parity)
        return type(transaction)(**fields)

    def authorize(self, request: TransactionRequest, delegation: Delegation) -> Authorization:
        # A sender's own nonce counts up before its authorizations are looked at.
        own = 1 if delegation.authority == request.sender else 0
        nonce = max(0, self.nonce(delegation.authority.address) + own + delegation.nonce_offset)
        chain_id = int(self.chain_id) if delegation.chain_id is None else delegation.chain_id
        digest = keccak256(b"\x05" + rlp.encode((U256(chain_id), Address(delegation.target), U64(nonce))))
        parity, r, s = spoil(delegation.fault, *delegation.authority.sign(digest))
        return Authorization(U256(chain_id), Address(delegation.target), U64(nonce), U8(parity), U256(r), U256(s))
