"""What is measured with: accounts, a token, and transactions signed before the clock starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from coincurve import PrivateKey
from eth_abi.abi import encode

from exclave import contracts
from exclave.protocol import GenesisAccount, TemplateAccount, decode_template, encode_template, keccak256
from exclave.protocol.fields import encode_rlp

ETHER: Final = 10**18
FUNDS: Final = 10_000 * ETHER
TOKENS: Final = 10**24
TOKEN: Final = bytes.fromhex("00000000000000000000000000000000000070c0")
"""Address of the ERC-20 contract, in the template and on anvil."""

TRANSFER_GAS: Final = 21_000
TOKEN_GAS: Final = 80_000


@dataclass(frozen=True)
class Sender:
    """A funded account."""

    key: PrivateKey
    address: bytes

    @classmethod
    def of(cls, index: int) -> Sender:
        key = PrivateKey(keccak256(b"benchmark sender %d" % index))
        return cls(key, keccak256(key.public_key.format(compressed=False)[1:])[12:])

    def sign(self, chain_id: int, nonce: int, gas: int, to: bytes, value: int, data: bytes, fee: int) -> bytes:
        """A raw transaction of type 2 (EIP-1559)."""
        fields = [chain_id, nonce, 0, fee, gas, to, value, data, []]
        signature = self.key.sign_recoverable(keccak256(b"\x02" + encode_rlp(fields)), hasher=None)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return b"\x02" + encode_rlp([*fields, signature[64], r, s])


SENDERS: Final = [Sender.of(index) for index in range(200)]

Workload = Callable[[Sender, int, int, int], bytes]
"""A transaction of (sender, chain id, nonce, wei of fee per gas)."""


def recipient(sender: Sender, nonce: int) -> bytes:
    """One of 64 accounts that only receive."""
    return keccak256(b"recipient %d" % ((sender.address[0] * 7 + nonce) % 64))[12:]


def transfer(sender: Sender, chain_id: int, nonce: int, fee: int) -> bytes:
    """One wei to somebody."""
    return sender.sign(chain_id, nonce, TRANSFER_GAS, recipient(sender, nonce), 1, b"", fee)


def token_transfer(sender: Sender, chain_id: int, nonce: int, fee: int) -> bytes:
    """One unit of the token to somebody."""
    data = keccak256(b"transfer(address,uint256)")[:4] + encode(["address", "uint256"], [recipient(sender, nonce), 1])
    return sender.sign(chain_id, nonce, TOKEN_GAS, TOKEN, 0, data, fee)


WORKLOADS: Final[dict[str, Workload]] = {"transfer": transfer, "erc20": token_transfer}


def token_code() -> bytes:
    """Runtime code of the ERC-20 contract: OpenZeppelin's."""
    return contracts.load("BenchmarkToken").deployed_bytecode


def balance_slot(owner: bytes) -> int:
    """Where OpenZeppelin's ERC20 keeps a balance: `_balances` is its first variable."""
    return int.from_bytes(keccak256(encode(["address", "uint256"], [owner, 0])), "big")


def with_benchmark_accounts(template: bytes) -> bytes:
    """The template with funded senders and the token added."""
    funded = [GenesisAccount(sender.address, balance=FUNDS) for sender in SENDERS]
    token = GenesisAccount(
        TOKEN, nonce=1, code=token_code(), storage={balance_slot(sender.address): TOKENS for sender in SENDERS}
    )
    added = [TemplateAccount.from_account(account) for account in [*funded, token]]
    return encode_template([*decode_template(template), *added])
