"""The committed proof before the real contracts on anvil, by real transactions."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from support.anvil import Anvil

from exclave.l1.client import L1Client
from exclave.l1.signers import LocalSigner
from exclave.l1.single import send
from exclave.l1.transactions import MAX_CALLDATA_BYTES, MAX_TRANSACTION_GAS
from exclave.l1.values import L1Receipt
from exclave.prover import Proof, ProofRefused, contract
from exclave.prover.onchain import DeployedVerifier, deploy_verifier, verify_onchain

MOST_GAS = 20_000_000
"""Of issue 5, for a transfer."""


class Died(Exception):
    """The process ended, in these tests."""


@dataclasses.dataclass
class L1:
    """An anvil with a verifier. `sizes` are those of the data of all transactions since."""

    client: L1Client
    signer: LocalSigner
    verifier: DeployedVerifier
    sizes: list[int]
    die_after: int | None = None

    async def transact(self, label: str, to: bytes | None, data: bytes) -> L1Receipt:
        receipt = await send(self.client, self.signer, to, data)
        self.sizes.append(len(data))
        if self.die_after is not None and len(self.sizes) == self.die_after:
            raise Died
        return receipt

    async def verify(self, proof: Proof) -> list[L1Receipt]:
        verifier = self.verifier.zk_verifier
        return await verify_onchain(self.client, self.transact, self.signer.address, verifier, proof)


def account(anvil: Anvil) -> LocalSigner:
    signer = LocalSigner(bytes(Account.create().key))
    anvil.rpc("anvil_setBalance", "0x" + signer.address.hex(), hex(10**20))
    return signer


@pytest.fixture
async def l1(anvil: Callable[..., Anvil]) -> AsyncIterator[L1]:
    node = anvil()
    signer = account(node)
    async with L1Client([node.url], node.chain_id) as client:

        async def transact(_: str, to: bytes | None, data: bytes) -> L1Receipt:
            return await send(client, signer, to, data)

        yield L1(client, signer, await deploy_verifier(transact), [])


async def test_two_transactions_verify_a_proof(l1: L1, proof: Proof) -> None:
    receipts = await l1.verify(proof)
    assert [receipt.success for receipt in receipts] == [True, True]
    assert all(receipt.gas_used <= MAX_TRANSACTION_GAS for receipt in receipts)
    assert sum(receipt.gas_used for receipt in receipts) <= MOST_GAS
    assert all(size <= MAX_CALLDATA_BYTES for size in l1.sizes)
    # For everybody and for good.
    assert await l1.verify(proof) == []


async def test_openings_that_are_too_large_for_one_transaction_take_more(
    l1: L1, proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How large they are depends on where the queries fall."""
    largest = len(proof.proof) - proof.parts[0]
    monkeypatch.setattr(contract, "MAX_CALLDATA_BYTES", largest)
    l1.die_after = 2
    with pytest.raises(Died):
        await l1.verify(proof)
    l1.die_after = None
    assert len(await l1.verify(proof)) == 1
    assert len(l1.sizes) == 3 and max(l1.sizes) <= largest
    first = proof.parts[1] - proof.parts[0]
    monkeypatch.setattr(contract, "MAX_CALLDATA_BYTES", first)
    with pytest.raises(ProofRefused, match="round 1 of 4"):
        contract.next_step(proof, bytes(1_024))


async def test_a_verification_goes_on_where_a_dead_process_left_it(l1: L1, proof: Proof) -> None:
    l1.die_after = 1
    with pytest.raises(Died):
        await l1.verify(proof)
    l1.die_after = None
    assert len(await l1.verify(proof)) == 1


async def test_nobody_is_kept_from_verifying_by_anothers_half_verification(
    l1: L1, proof: Proof, anvil: Callable[..., Anvil]
) -> None:
    l1.die_after = 1
    with pytest.raises(Died):
        await l1.verify(proof)
    other = LocalSigner(bytes(Account.create().key))
    await l1.client.request("anvil_setBalance", ["0x" + other.address.hex(), hex(10**20)])
    honest = dataclasses.replace(l1, signer=other, sizes=[], die_after=None)
    assert len(await honest.verify(proof)) == 2


@pytest.mark.parametrize("what", ["statement", "program", "first part", "second part"])
async def test_no_other_proof_is_accepted(l1: L1, proof: Proof, what: str) -> None:
    def damaged(place: int) -> dict[str, Any]:
        return {"proof": proof.proof[:place] + bytes([proof.proof[place] ^ 1]) + proof.proof[place + 1 :]}

    changes: dict[str, Any] = {
        "statement": {"statement": dataclasses.replace(proof.statement, prover=b"\xbb" * 20)},
        "program": {"program_id": bytes(32)},
        "first part": damaged(9_000),
        "second part": damaged(proof.parts[0] + 9_000),
    }[what]
    with pytest.raises(ProofRefused):
        await l1.verify(dataclasses.replace(proof, **changes))


async def test_an_address_without_a_verifier_is_named(l1: L1, proof: Proof) -> None:
    for nothing in (b"\x11" * 20, l1.verifier.proofs):
        with pytest.raises(ProofRefused, match=nothing.hex()):
            await verify_onchain(l1.client, l1.transact, l1.signer.address, nothing, proof)


def test_the_command_verifies_on_l1_and_shows_the_gas(
    exclave: Callable[..., Any], anvil: Callable[..., Anvil], proof: Proof, tmp_path: Path
) -> None:
    node = anvil()
    key = "0x" + "42" * 32
    node.rpc("anvil_setBalance", Account.from_key(key).address, hex(10**20))
    file = tmp_path / "block.proof"
    file.write_bytes(proof.encode())
    arguments = ("verify", str(file), "--l1", node.url)
    first = json.loads(exclave(*arguments, "--json", EXCLAVE_DEVELOPER_KEY=key).stdout)
    assert first["deploymentGas"] > 0 and len(first["transactions"]) == 2
    assert first["gasUsed"] == sum(transaction["gasUsed"] for transaction in first["transactions"]) <= MOST_GAS
    again = exclave(*arguments, "--verifier", first["verifier"], EXCLAVE_DEVELOPER_KEY=key)
    assert "had accepted it before" in again.stderr
    assert "EXCLAVE_DEVELOPER_KEY" in exclave(*arguments, code=1).stderr


def test_the_command_verifies_here(exclave: Callable[..., Any], proof: Proof, tmp_path: Path) -> None:
    file = tmp_path / "block.proof"
    file.write_bytes(proof.encode())
    done = exclave("verify", str(file))
    assert "The proof is valid." in done.stderr and proof.statement.to_hash.hex() in done.stdout
    file.write_bytes(proof.encode()[:-1])
    assert "not a proof's file" in exclave("verify", str(file), code=1).stderr
