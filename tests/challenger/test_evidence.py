"""Fault proofs, signatures that contradict, and answers that are hidden.

The prover of these tests proves nothing: the verifier on their L1 accepts everything. What is proven is what the guest
would say, which the engine computes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from support.court import CLAIMANT, RULES, Court, continued, creation_of, data_of, forged_hashes, whole
from support.engine import assemble
from support.watchtower import (
    ME,
    Claimant,
    Watching,
    assert_paid,
    balance,
    demanded,
    events,
    killed,
    leaf_state,
    play,
    show_leaf_and_hashes,
)
from support.world import OPERATOR_KEY, World

from exclave.challenger.strategy import LeafVerdict
from exclave.dispute.payloads import SignedBlock, encode_answer_leaf
from exclave.protocol import address_of, keccak256, preconfirmation_digest, sign_digest
from exclave.prover import PROGRAM_ID, Progress, Proof, ProofRequest, Verdict

STAKE = RULES.operator_stake


class AgreeableProver:
    """Gives the statement and no proof."""

    def __init__(self) -> None:
        self.requests: list[ProofRequest] = []

    async def prove(self, request: ProofRequest, progress: Callable[[Progress], None] | None = None) -> Proof:
        self.requests.append(request)
        return Proof(PROGRAM_ID, request.statement, request.recoveries, bytes(range(6)), 1, (2, 3, 4, 5, 6))

    async def verify(self, proof: Proof) -> None:
        return None


def deposit_stake(court: Court) -> None:
    """By the operator, whose key is of no anvil account."""
    operator = "0x" + address_of(OPERATOR_KEY).hex()
    court.world.anvil.set_balance(operator, 10**18)
    court.world.anvil.rpc("anvil_impersonateAccount", operator)
    data = "0x" + keccak256(b"depositStake()")[:4].hex()
    transaction = {"from": operator, "to": "0x" + court.stakes().hex(), "data": data, "value": hex(STAKE)}
    court.world._mined(court.world.anvil.rpc("eth_sendTransaction", transaction))


def signed(world: World, session_id: int, number: int, block_hash: bytes, key: bytes = OPERATOR_KEY) -> SignedBlock:
    digest = preconfirmation_digest(31337, world.zk_relayer, session_id, number, block_hash)
    return SignedBlock(session_id, number, block_hash, sign_digest(digest, key))


def keep(directory: Path, name: str, *blocks: SignedBlock) -> None:
    """A file as a player keeps it."""
    directory.mkdir(exist_ok=True)
    content = [
        {
            "sessionId": hex(block.session_id),
            "number": hex(block.number),
            "blockHash": "0x" + block.block_hash.hex(),
            "signature": "0x" + block.signature.hex(),
        }
        for block in blocks
    ]
    (directory / f"{name}.json").write_text(json.dumps(content[0] if len(content) == 1 else content))


async def test_an_invalid_block_is_proven_so(court: Court, watching: Watching) -> None:
    prover = AgreeableProver()
    async with watching(prover=prover) as watch:
        chain = await play(watch, court)
        before = balance(court)
        block = chain.blocks[1]
        header = bytearray(block.header)
        header[91] ^= 1  # in the state root
        forged, hashes = forged_hashes(chain, 2, keccak256(bytes(header)))
        posted = court.post([forged], data_of(chain))
        claimant = Claimant(court, posted, hashes)
        await show_leaf_and_hashes(watch, court, posted, claimant)
        await demanded(watch, court, posted)
        claimant.show_block(2, bytes(header), block.transactions)
        await killed(watch, court, posted)  # without any time going by
        assert [request.statement.verdict for request in prover.requests] == [Verdict.INVALID]
        assert prover.requests[0].statement.prover == ME
        size = len(header) + sum(len(transaction) for transaction in block.transactions)
        gas = 150_000 + (150_000 + len(hashes) * 1_500) + (250_000 + 50 * size + 10_000)
        await assert_paid(watch, court, before, paid=gas * RULES.gas_price)
        assert events(court, "LeafProvenWrong") == 1


async def test_a_forged_result_is_refuted_by_a_proof_of_the_right_one(court: Court, watching: Watching) -> None:
    prover = AgreeableProver()
    async with watching(prover=prover) as watch:
        chain = await play(watch, court)
        before = balance(court)
        posted = court.post([dataclasses.replace(whole(chain), result_hash=keccak256(b"mine"))], data_of(chain))
        await demanded(watch, court, posted)
        Claimant(court, posted, chain.hashes(0, 3)).show_leaf()
        await killed(watch, court, posted)
        assert [request.statement.verdict for request in prover.requests] == [Verdict.VALID]
        await assert_paid(watch, court, before, paid=150_000 * RULES.gas_price)


async def test_blocks_after_the_end_are_refuted_by_a_proof_of_the_last_one(court: Court, watching: Watching) -> None:
    """INVARIANT I1: nothing is known of the block that follows, and nothing need be."""
    prover = AgreeableProver()
    async with watching(prover=prover) as watch:
        chain = await play(watch, court)
        before = balance(court)
        forged, hashes = continued(chain)
        posted = court.post([forged], data_of(chain))
        claimant = Claimant(court, posted, hashes)
        await show_leaf_and_hashes(watch, court, posted, claimant)
        await killed(watch, court, posted)  # without any time going by
        (statement,) = [request.statement for request in prover.requests]
        assert (statement.verdict, statement.to_hash) == (Verdict.VALID, chain.blocks[-1].hash)
        assert statement.prover == ME
        gas = 150_000 + (150_000 + len(hashes) * 1_500)
        await assert_paid(watch, court, before, paid=gas * RULES.gas_price)
        assert events(court, "LeafProvenWrong") == 1


async def test_a_claim_of_other_blocks_than_the_operator_signed_is_contradicted(
    court: Court, watching: Watching, tmp_path: Path
) -> None:
    """INVARIANT I1: the blocks that were played are those that settle."""
    kept = tmp_path / "kept"
    async with watching(preconfirmations=kept) as watch:
        session = await watch.session(court.open())
        played = watch.operator.play(session, [1, 2])
        claimed = watch.operator.play(session, [2, 1])
        stranger = signed(court.world, session.session_id, 2, keccak256(b"x"), keccak256(b"stranger"))
        keep(kept, "stranger", stranger)
        posted = court.post([whole(claimed)], data_of(claimed))
        await watch.quiet()
        assert not leaf_state(court, posted).killed
        keep(kept, "mine", signed(court.world, session.session_id, 2, played.blocks[1].hash))
        await killed(watch, court, posted)
        assert events(court, "LeafContradicted") == 1
        await watch.quiet()
        # Another's claim may have been made in good faith: who kills it earns nothing.
        assert court.deposit(court.world.zk_relayer, ME) == (0, 0)


async def test_two_signatures_of_one_number_cost_the_stake(court: Court, watching: Watching, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    deposit_stake(court)
    async with watching(preconfirmations=kept) as watch:
        session = await watch.session(court.open())
        before = balance(court)
        one, other = (signed(court.world, session.session_id, 1, keccak256(name)) for name in (b"one", b"other"))
        keep(kept, "both", one, other)
        await watch.until("it is reported", lambda: court.deposit(court.stakes(), ME)[0] > 0)
        await watch.quiet()
        await assert_paid(watch, court, before, won=STAKE // 2)
    async with watching(preconfirmations=kept) as watch:  # once is enough
        await watch.quiet()
        assert court.deposit(court.stakes(), ME) == (0, 0)


async def test_an_answer_behind_another_contract_is_found(court: Court, watching: Watching) -> None:
    """Who answers through a contract of his own can't hide what he has shown."""
    # Passes its call data on to the dispute contract.
    forwarder = assemble(
        f"CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY PUSH0 PUSH0 CALLDATASIZE PUSH0 PUSH0 73 {court.game.hex()} GAS f1 STOP"
    )
    async with watching() as watch:
        chain = await play(watch, court)
        posted = court.post([dataclasses.replace(whole(chain), result_hash=keccak256(b"mine"))], data_of(chain))
        claimant = Claimant(court, posted, chain.hashes(0, 3))
        await demanded(watch, court, posted)
        hidden = bytes.fromhex(court.world.anvil.deploy(creation_of(forwarder))[2:])
        court.world.send(hidden, encode_answer_leaf(claimant.leaf), CLAIMANT)
        assert leaf_state(court, posted).open == 0
        await demanded(watch, court, posted)
        await watch.quiet()
        assert watch.leaf(posted.claim_id).verdict is LeafVerdict.WRONG
