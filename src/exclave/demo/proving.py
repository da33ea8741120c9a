"""A block of the demo's first match, proven and verified on L1."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from eth_account.signers.local import LocalAccount

from exclave.demo.chain import DemoChain
from exclave.l1.signers import LocalSigner
from exclave.l1.single import send
from exclave.l1.values import L1Receipt
from exclave.protocol import address_bytes
from exclave.prover import LocalProver, Progress, Proof
from exclave.prover.onchain import DeployedVerifier, deploy_verifier, verify_onchain
from exclave.prover.replay import prepare
from exclave.store import Store

BLOCK = 2
"""The first after the one that starts the match."""


@dataclass(frozen=True, slots=True)
class ProvenBlock:
    """What proving a block took, and verifying it on L1."""

    session_id: int
    number: int
    proof: Proof
    instructions: int
    segments: int
    seconds: float
    deployment_gas: int
    receipts: list[L1Receipt]

    @property
    def gas(self) -> int:
        """L1 gas of the verification."""
        return sum(receipt.gas_used for receipt in self.receipts)


class DemoProving:
    """The verifier of the demo's L1, and the prover. `say` shows what is happening."""

    def __init__(
        self, chain: DemoChain, account: LocalAccount, prover: LocalProver, say: Callable[[Progress], None]
    ) -> None:
        self._chain = chain
        self._account = account
        self._prover = prover
        self._say = say
        self._deployed: DeployedVerifier | None = None

    async def deploy(self) -> bytes:
        """Put the verifier on L1; returns the address that terms name."""
        self._deployed = await deploy_verifier(self._send)
        return self._deployed.zk_verifier

    async def prove(self, store: Store, session_id: int) -> ProvenBlock:
        """Prove a block of a session in the node's database, and have L1 verify it."""
        assert self._deployed is not None, "deploy() first"
        head = store.blocks.head(session_id)
        assert head is not None, "the session was played"
        number = min(BLOCK, head.number)
        client, sender = self._chain.client, address_bytes(self._account.address)
        request = prepare(
            store,
            session_id,
            number,
            number,
            l1_chain_id=client.chain_id,
            zk_relayer=self._chain.zk_relayer,
            prover=sender,
        )
        instructions = segments = 0

        def progress(step: Progress) -> None:
            nonlocal instructions, segments
            instructions, segments = step.instructions, step.segments
            self._say(step)

        began = time.monotonic()
        proof = await self._prover.prove(request, progress)
        seconds = time.monotonic() - began
        receipts = await verify_onchain(client, self._send, sender, self._deployed.zk_verifier, proof)
        return ProvenBlock(session_id, number, proof, instructions, segments, seconds, self._deployed.gas, receipts)

    async def _send(self, label: str, to: bytes | None, data: bytes) -> L1Receipt:
        return await send(self._chain.client, LocalSigner(bytes(self._account.key)), to, data)
