"""A template's file: a genesis state with hashed keys (docs/protocol.md, section 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from exclave.protocol.constants import CREATE2_DEPLOYER, CREATE2_DEPLOYER_CODE, PREDEPLOY
from exclave.protocol.errors import DataTooLarge, DecodeError, InvalidField
from exclave.protocol.fields import (
    decode_rlp,
    encode_rlp,
    keccak256,
    read_bytes,
    read_list,
    read_unsigned,
    require_bytes,
    require_unsigned,
)

VERSION: Final = 1

MAX_TEMPLATE_BYTES: Final = 64 * 1024 * 1024
"""Default bound on a template's file."""


@dataclass(frozen=True, slots=True)
class GenesisAccount:
    """An account as a person writes it. `balance` in wei; slots and values are integers."""

    address: bytes
    nonce: int = 0
    balance: int = 0
    code: bytes = b""
    storage: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TemplateAccount:
    """An account as the file has it: keys hashed, storage in ascending order of hashed slots, no zero values."""

    address_hash: bytes
    nonce: int
    balance: int
    code: bytes
    storage: tuple[tuple[bytes, int], ...]

    def __post_init__(self) -> None:
        require_bytes("address_hash", self.address_hash, 32)
        require_unsigned("nonce", self.nonce, 64)
        require_unsigned("balance", self.balance, 256)
        require_bytes("code", self.code)
        if not (self.nonce or self.balance or self.code):
            raise InvalidField(f"account 0x{self.address_hash.hex()} is empty (EIP-161)")
        previous = b""
        for slot_hash, value in self.storage:
            require_bytes("slot_hash", slot_hash, 32)
            require_unsigned("value", value, 256)
            if value == 0:
                raise InvalidField(f"slot 0x{slot_hash.hex()} is zero")
            if slot_hash <= previous:
                raise InvalidField("slots are not in ascending order")
            previous = slot_hash

    @classmethod
    def from_account(cls, account: GenesisAccount) -> TemplateAccount:
        """Hashes the keys. Zero slots are left out. Raises `InvalidField`."""
        require_bytes("address", account.address, 20)
        for slot, value in account.storage.items():
            require_unsigned("slot", slot, 256)
            require_unsigned("value", value, 256)
        storage = sorted(
            (keccak256(slot.to_bytes(32, "big")), value) for slot, value in account.storage.items() if value
        )
        return cls(keccak256(account.address), account.nonce, account.balance, account.code, tuple(storage))


def encode_template(accounts: Iterable[TemplateAccount]) -> bytes:
    """The file. Raises `InvalidField` if an account is there twice."""
    ordered = sorted(accounts, key=lambda account: account.address_hash)
    for previous, account in pairwise(ordered):
        if previous.address_hash == account.address_hash:
            raise InvalidField(f"account 0x{account.address_hash.hex()} is there twice")
    return encode_rlp(
        [
            VERSION,
            [
                [
                    account.address_hash,
                    account.nonce,
                    account.balance,
                    account.code,
                    [list(slot) for slot in account.storage],
                ]
                for account in ordered
            ],
        ]
    )


def decode_template(data: bytes, max_bytes: int = MAX_TEMPLATE_BYTES) -> tuple[TemplateAccount, ...]:
    """Inverse of `encode_template`. Raises `DataTooLarge` or `DecodeError`; only the canonical form is accepted."""
    if len(data) > max_bytes:
        raise DataTooLarge(f"a template of {len(data)} bytes; the limit is {max_bytes}")
    outer = read_list(decode_rlp(data, "template"), "template", 2)
    version = read_unsigned(outer[0], "version", 64)
    if version != VERSION:
        raise DecodeError(f"template of version {version}; this build knows version {VERSION}")
    try:
        accounts = tuple(_decode_account(item) for item in read_list(outer[1], "accounts"))
    except InvalidField as error:
        raise DecodeError(str(error)) from error
    if any(a.address_hash >= b.address_hash for a, b in pairwise(accounts)):
        raise DecodeError("accounts are not in ascending order")
    return accounts


def base_template(session_code: bytes, extra: Iterable[GenesisAccount] = ()) -> bytes:
    """The template from which games' templates are built.

    It holds the session predeploy with `session_code` (runtime code), the CREATE2 deployer, and the `extra` accounts.
    """
    if not session_code:
        raise InvalidField("the session predeploy has no code")
    accounts = [
        GenesisAccount(PREDEPLOY, nonce=1, code=session_code),
        GenesisAccount(CREATE2_DEPLOYER, nonce=1, code=CREATE2_DEPLOYER_CODE),
        *extra,
    ]
    return encode_template(TemplateAccount.from_account(account) for account in accounts)


def template_data_hash(data: bytes) -> bytes:
    """`dataHash` of a template's file."""
    return keccak256(data)


def _decode_account(item: Any) -> TemplateAccount:
    address_hash, nonce, balance, code, storage = read_list(item, "account", 5)
    slots = []
    for slot in read_list(storage, "storage"):
        slot_hash, value = read_list(slot, "slot", 2)
        slots.append((read_bytes(slot_hash, "slot hash", 32), read_unsigned(value, "value", 256)))
    return TemplateAccount(
        read_bytes(address_hash, "address hash", 32),
        read_unsigned(nonce, "nonce", 64),
        read_unsigned(balance, "balance", 256),
        read_bytes(code, "code"),
        tuple(slots),
    )
