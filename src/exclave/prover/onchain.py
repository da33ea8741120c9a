"""Deploys the verifier on an L1, and has it verify proofs there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from exclave.l1.client import CallRequest, L1Client
from exclave.l1.errors import ExecutionReverted, L1Error
from exclave.l1.values import L1Receipt
from exclave.protocol.fields import keccak256
from exclave.prover import contract
from exclave.prover.errors import ProofRefused
from exclave.prover.proof import Proof

log = structlog.get_logger(__name__)

SendTransaction = Callable[[str, bytes | None, bytes], Awaitable[L1Receipt]]
"""Sends a transaction and waits for its receipt: what it is for, its target (None: a creation), its data."""

_LOG_BLOCKS = 10_000
"""How far back an interrupted verification is looked for: endpoints refuse much wider ranges."""


@dataclass(frozen=True, slots=True)
class DeployedVerifier:
    """Addresses: `zk_verifier` is what terms name, `proofs` takes proofs. `gas` of all creations."""

    zk_verifier: bytes
    proofs: bytes
    gas: int


async def deploy_verifier(send: SendTransaction) -> DeployedVerifier:
    """Creates all contracts of the verifier. Nobody owns them, and one deployment serves everybody on its L1."""
    gas = 0

    async def create(creation: contract.Creation) -> bytes:
        nonlocal gas
        receipt = await send(f"deploy {creation.name}", None, creation.data)
        assert receipt.contract_address is not None
        gas += receipt.gas_used
        return receipt.contract_address

    evaluators = [await create(creation) for creation in contract.evaluator_creations()]
    constraints = await create(contract.constraint_verifier_creation(evaluators))
    openings = await create(contract.opening_verifier_creation())
    proofs = await create(contract.proof_verifier_creation(constraints, openings))
    zk_verifier = await create(contract.zk_verifier_creation(proofs))
    return DeployedVerifier(zk_verifier, proofs, gas)


async def verify_onchain(
    l1: L1Client, send: SendTransaction, sender: bytes, zk_verifier: bytes, proof: Proof
) -> list[L1Receipt]:
    """Has `zk_verifier` verify a proof by transactions of `sender`, which `send` sends; returns their receipts, none if
    it was verified before. A verification that was interrupted goes on where it was.

    Raises `ProofRefused`, and what `send` and the client raise.
    """
    proofs = await find_proofs(l1, zk_verifier)
    receipts: list[L1Receipt] = []
    if await _ask(l1, proofs, contract.encode_is_verified(proof)) != contract.TRUE:
        state = await left_state(l1, proofs, sender, proof)
        verified = False
        while not verified:
            step = contract.next_step(proof, state)
            try:
                receipts.append(await send(f"verify a proof: {step.name}", proofs, step.data))
            except ExecutionReverted as error:
                raise ProofRefused(f"the contract on L1 doesn't accept the proof: {error}") from error
            state, verified = _outcome(receipts[-1])
    if await _ask(l1, zk_verifier, contract.encode_verify(proof)) != contract.TRUE:
        raise ProofRefused("the proof is valid, but not of this program and this statement")
    return receipts


async def find_proofs(l1: L1Client, zk_verifier: bytes) -> bytes:
    """The address of the contract that takes proofs for a verifier. Raises `ProofRefused` if it isn't a verifier."""
    try:
        proofs = (await l1.call(CallRequest(to=zk_verifier, data=contract.encode_proofs())))[12:]
    except ExecutionReverted as error:
        raise ProofRefused(f"there is no ZkVerifier at 0x{zk_verifier.hex()} on this L1") from error
    if len(proofs) != 20:
        raise ProofRefused(f"there is no ZkVerifier at 0x{zk_verifier.hex()} on this L1")
    return proofs


async def _ask(l1: L1Client, to: bytes, data: bytes) -> bytes:
    return await l1.call(CallRequest(to=to, data=data))


def _outcome(receipt: L1Receipt) -> tuple[bytes | None, bool]:
    """The state that a part of a verification left, or that it was the last."""
    for entry in receipt.logs:
        if entry.topics[0] == contract.INTERRUPTED:
            return contract.read_interrupted(entry.data), False
        if entry.topics[0] == contract.VERIFIED:
            return None, True
    raise ProofRefused("the contract on L1 isn't the verifier of this version: it left no state")


async def left_state(l1: L1Client, proofs: bytes, sender: bytes, proof: Proof) -> bytes | None:
    """The state that an earlier verification of the sender's was left in; None if there is none, or it can't be found,
    and it begins anew.
    """
    digest = await _ask(l1, proofs, contract.encode_interrupted(proof, sender))
    if not any(digest):
        return None
    head = (await l1.get_head()).number
    topics = [
        "0x" + contract.INTERRUPTED.hex(),
        "0x" + contract.head_hash(proof).hex(),
        "0x" + bytes(12).hex() + sender.hex(),
    ]
    wanted = {
        "address": "0x" + proofs.hex(),
        "topics": topics,
        "fromBlock": hex(max(head - _LOG_BLOCKS, 0)),
        "toBlock": hex(head),
    }
    try:
        found = await l1.request("eth_getLogs", [wanted])
        for entry in reversed(found):
            state = contract.read_interrupted(bytes.fromhex(entry["data"][2:]))
            if keccak256(state) == digest:
                return state
    except (L1Error, ValueError, LookupError, TypeError) as error:
        log.warning("the state of an interrupted verification can't be read; it begins anew", reason=str(error))
    return None
