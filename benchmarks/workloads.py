"""What is measured with: accounts, a token, and transactions signed before the clock starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from coincurve import PrivateKey
from eth_abi.abi import encode
from holdfast.abi import abi
from holdfast.client import UNLIMITED_DELEGATION
from holdfast.paths import TEMPLATE, TEMPLATE_RECORD

from exclave import contracts
from exclave.protocol import GenesisAccount, TemplateAccount, decode_template, encode_template, keccak256
from exclave.protocol.fields import encode_rlp

ETHER: Final = 10**18
FUNDS: Final = 10_000 * ETHER
TOKENS: Final = 10**24
TOKEN: Final = bytes.fromhex("00000000000000000000000000000000000070c0")
"""Address of the ERC-20 contract, in the template and on anvil."""

LOOP: Final = bytes.fromhex("0000000000000000000000000000000000001009")
"""Address of a contract that loops until its gas is used up, in the template."""

LOOP_CODE: Final = bytes.fromhex("5b600056")  # JUMPDEST PUSH1 0 JUMP

TRANSFER_GAS: Final = 21_000
TOKEN_GAS: Final = 80_000
ACTION_GAS: Final = 300_000
LOOP_GAS: Final = 16_777_216
"""EIP-7825's bound on one transaction."""

WORLD: Final = bytes.fromhex(json.loads(TEMPLATE_RECORD.read_text())["world"][2:])
"""Address of Holdfast's MUD World, the same in the template and on anvil (CREATE2)."""


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
    return _token_to(recipient(sender, nonce), sender, chain_id, nonce, fee)


def _token_to(to: bytes, sender: Sender, chain_id: int, nonce: int, fee: int) -> bytes:
    data = keccak256(b"transfer(address,uint256)")[:4] + encode(["address", "uint256"], [to, 1])
    return sender.sign(chain_id, nonce, TOKEN_GAS, TOKEN, 0, data, fee)


def _burner(sender: Sender, nonce: int) -> bytes:
    return keccak256(b"burner %d" % nonce + sender.address)[12:]


def mud_action(sender: Sender, chain_id: int, nonce: int, fee: int) -> bytes:
    """What every player of Holdfast starts with: delegate to a burner key, a new one each time. It goes through MUD's
    World to a system and writes to a table, and any account may do it at any time.
    """
    burner = "0x" + _burner(sender, nonce).hex()
    data = abi("IWorld")["registerDelegation"].encode(burner, UNLIMITED_DELEGATION, b"")
    return sender.sign(chain_id, nonce, ACTION_GAS, WORLD, 0, data, fee)


def endless_loop(sender: Sender, chain_id: int, nonce: int, fee: int) -> bytes:
    """All the gas that a transaction may use."""
    return sender.sign(chain_id, nonce, LOOP_GAS, LOOP, 0, b"", fee)


def holder(index: int) -> bytes:
    """One of the many accounts that hold the token where the size of the state matters."""
    return keccak256(b"holder %d" % index)[12:]


def token_among(holders: int) -> Workload:
    """Transfers of the token to holders here and there in the state."""

    def workload(sender: Sender, chain_id: int, nonce: int, fee: int) -> bytes:
        to = holder(int.from_bytes(keccak256(b"%d" % nonce + sender.address)[:8], "big") % holders)
        return _token_to(to, sender, chain_id, nonce, fee)

    return workload


def delegation_of(sender: Sender, nonce: int) -> bytes:
    """Calldata that reads what `mud_action` wrote, from MUD's table of delegations."""
    table = b"tb" + b"world".ljust(14, b"\0") + b"UserDelegationCo"
    keys = [bytes(12) + sender.address, bytes(12) + _burner(sender, nonce)]
    return abi("IWorld")["getRecord"].encode(table, keys)


WORKLOADS: Final[dict[str, Workload]] = {"transfer": transfer, "erc20": token_transfer, "mud": mud_action}


def token_code() -> bytes:
    """Runtime code of the ERC-20 contract: OpenZeppelin's."""
    return contracts.load("BenchmarkToken").deployed_bytecode


def balance_slot(owner: bytes) -> int:
    """Where OpenZeppelin's ERC20 keeps a balance: `_balances` is its first variable."""
    return int.from_bytes(keccak256(encode(["address", "uint256"], [owner, 0])), "big")


def with_benchmark_accounts(template: bytes, holders: int = 0) -> bytes:
    """The template with funded senders, the token with so many holders more, the loop, and Holdfast with its World."""
    funded = [GenesisAccount(sender.address, balance=FUNDS) for sender in SENDERS]
    owners = [*(sender.address for sender in SENDERS), *(holder(index) for index in range(holders))]
    storage = {balance_slot(owner): TOKENS for owner in owners}
    token = GenesisAccount(TOKEN, nonce=1, code=token_code(), storage=storage)
    loop = GenesisAccount(LOOP, nonce=1, code=LOOP_CODE)
    given = decode_template(template)
    added = [TemplateAccount.from_account(account) for account in [*funded, token, loop]]
    known = {account.address_hash for account in [*given, *added]}
    game = [account for account in decode_template(TEMPLATE.read_bytes()) if account.address_hash not in known]
    return encode_template([*given, *added, *game])
