"""The state-transition function against the execution specifications: from the same transactions the same headers and
receipts, byte for byte.

A header has the roots of state, transactions and receipts, the bloom and the gas used. `execute_blocks` also runs each
block on its witness.
"""

from __future__ import annotations

import pytest
from conformance.osaka_programs import (
    CONTRACTS,
    KEYS,
    PRECOMPILE_VECTORS,
    REPORTING,
    blocks,
    genesis_accounts,
)
from conformance.osaka_specification import Delegation, Specification, TransactionRequest
from hypothesis import HealthCheck, Phase, given, settings

from exclave import _engine
from exclave.protocol import GenesisAccount, TemplateAccount, encode_template

CHAIN_ID = (0x5A5A << 32) + 1
SEED = bytes(range(32))
TIMESTAMP = 1_700_000_000

unhurried = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)  # fmt: skip


def compare(accounts: list[GenesisAccount], sequence: list[list[TransactionRequest]]) -> int:
    """Executes the blocks twice; the number of valid transactions."""
    specification = Specification(accounts, CHAIN_ID, SEED, TIMESTAMP)
    times = range(TIMESTAMP, TIMESTAMP + len(sequence))
    expected = [specification.execute(time, requests) for time, requests in zip(times, sequence, strict=True)]
    template = encode_template(TemplateAccount.from_account(account) for account in accounts)
    executed = _engine.execute_blocks(
        template, CHAIN_ID, SEED, TIMESTAMP,
        [(time, block.transactions) for time, block in zip(times, expected, strict=True)],
    )  # fmt: skip
    for block, (header, errors, receipts) in zip(expected, executed, strict=True):
        reasons = f"specification: {block.reasons}\nexecuted: {errors}"
        assert [error is None for error in errors] == block.is_valid, reasons
        assert [receipt.hex() for receipt in receipts] == [receipt.hex() for receipt in block.receipts], reasons
        assert (header and header.hex()) == (block.header and block.header.hex()), reasons
    return sum(sum(block.is_valid) for block in expected)


@settings(unhurried, max_examples=120)
@given(genesis_accounts(), blocks)
def test_blocks_are_the_specifications(
    accounts: list[GenesisAccount], sequence: list[list[TransactionRequest]]
) -> None:
    compare(accounts, sequence)


@pytest.mark.parametrize("number", sorted(PRECOMPILE_VECTORS), ids=hex)
def test_precompiles_are_the_specifications(number: int) -> None:
    """The EIPs' vectors, on which native and pure implementations could differ."""
    accounts = [
        GenesisAccount(KEYS[0].address, balance=1),
        GenesisAccount(CONTRACTS[0], nonce=1, code=REPORTING[number]),
    ]
    requests = [
        TransactionRequest(KEYS[0], 2, CONTRACTS[0], data, gas=2_000_000) for data in PRECOMPILE_VECTORS[number]
    ]
    sequence = [requests[start : start + 14] for start in range(0, len(requests), 14)]
    assert compare(accounts, sequence) == len(requests)


def test_an_authority_that_was_only_touched_in_the_block_does_not_exist() -> None:
    """It gets no refund for existing (EIP-7702), though a transaction before it called it (EIP-161)."""
    sender, authority = KEYS[0], KEYS[1]
    accounts = [
        GenesisAccount(sender.address, balance=10**18),
        GenesisAccount(CONTRACTS[0], nonce=1, code=b"\x00"),
    ]
    call = TransactionRequest(sender, 2, authority.address, gas=400_000)
    delegate = TransactionRequest(
        sender, 4, CONTRACTS[0], gas=400_000, delegations=(Delegation(authority, CONTRACTS[0]),)
    )
    for sequence in ([[call, delegate]], [[call], [delegate]], [[call, delegate, delegate]], [[delegate, call]]):
        assert compare(accounts, sequence) == sum(map(len, sequence))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(unhurried, max_examples=5_000, derandomize=False)
@given(genesis_accounts(), blocks)
def test_many_blocks_are_the_specifications(
    accounts: list[GenesisAccount], sequence: list[list[TransactionRequest]]
) -> None:
    compare(accounts, sequence)
