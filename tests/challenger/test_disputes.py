"""What the watchtower does about wrong claims: each ends with the leaf dead and the challenger paid, to the wei."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import select
from support.court import RULES, Court, continued, data_of, forged_hashes, whole
from support.watchtower import (
    ME,
    Claimant,
    Watching,
    assert_paid,
    balance,
    demanded,
    killed,
    leaf_state,
    play,
    show_leaf_and_hashes,
)

from exclave.challenger.review import ClaimVerdict
from exclave.challenger.strategy import LeafVerdict
from exclave.protocol import DataMode, block_hashes_root, keccak256
from exclave.store.intents import intents


async def test_a_garbage_root_is_not_answered_for(court: Court, watching: Watching) -> None:
    async with watching() as watch:
        chain = await play(watch, court)
        before = balance(court)
        posted = court.post([whole(chain)], data_of(chain), root=keccak256(b"garbage"))
        await demanded(watch, court, posted)
        assert leaf_state(court, posted).held
        await watch.quiet()
        court.world.pass_time(RULES.answer_window + 1)
        await killed(watch, court, posted)
        assert watch.report(posted.claim_id).verdict is ClaimVerdict.DISAGREES
        await assert_paid(watch, court, before)


async def test_a_forged_result_is_challenged(court: Court, watching: Watching) -> None:
    """INVARIANT I1: all blocks are right, only the result isn't; nobody can prove it."""
    async with watching() as watch:
        chain = await play(watch, court)
        before = balance(court)
        forged = dataclasses.replace(whole(chain), result_hash=keccak256(b"mine"))
        posted = court.post([forged], data_of(chain))
        claimant = Claimant(court, posted, chain.hashes(0, 3))
        await demanded(watch, court, posted)
        claimant.show_leaf()
        await watch.until("it is challenged", lambda: leaf_state(court, posted).open == 1)
        await watch.quiet()
        assert watch.leaf(posted.claim_id).verdict is LeafVerdict.WRONG
        court.world.pass_time(RULES.proof_window + 1)
        await killed(watch, court, posted)
        await assert_paid(watch, court, before, paid=150_000 * RULES.gas_price)


async def test_a_forged_hash_in_the_middle_is_found_and_its_block_demanded(court: Court, watching: Watching) -> None:
    async with watching() as watch:
        chain = await play(watch, court)
        before = balance(court)
        forged, hashes = forged_hashes(chain, 2)
        posted = court.post([forged], data_of(chain))
        claimant = Claimant(court, posted, hashes)
        await show_leaf_and_hashes(watch, court, posted, claimant)
        await demanded(watch, court, posted)
        await watch.quiet()
        assert "block 2" in watch.leaf(posted.claim_id).reason
        court.world.pass_time(RULES.answer_window + 1)
        await killed(watch, court, posted)
        gas = 150_000 + (150_000 + len(hashes) * 1_500)
        await assert_paid(watch, court, before, paid=gas * RULES.gas_price)


async def test_an_invalid_block_that_is_shown_is_challenged(court: Court, watching: Watching) -> None:
    async with watching() as watch:
        chain = await play(watch, court)
        before = balance(court)
        block = chain.blocks[1]
        header = bytearray(block.header)
        at = block.header.index(block.header[91:123])
        header[at] ^= 1  # another state root
        forged, hashes = forged_hashes(chain, 2, keccak256(bytes(header)))
        posted = court.post([forged], data_of(chain))
        claimant = Claimant(court, posted, hashes)
        await show_leaf_and_hashes(watch, court, posted, claimant)
        await demanded(watch, court, posted)
        claimant.show_block(2, bytes(header), block.transactions)
        await watch.until("it is challenged", lambda: leaf_state(court, posted).open == 1)
        await watch.quiet()
        assert watch.leaf(posted.claim_id).reason.startswith("block 2 isn't valid")
        court.world.pass_time(RULES.proof_window + 1)
        await killed(watch, court, posted)
        size = len(header) + sum(len(transaction) for transaction in block.transactions)
        gas = 150_000 + (150_000 + len(hashes) * 1_500) + (250_000 + 50 * size + 10_000)
        await assert_paid(watch, court, before, paid=gas * RULES.gas_price)


async def test_other_valid_blocks_than_those_published_are_no_trap(court: Court, watching: Watching) -> None:
    """A claimant who publishes one game and claims another, of valid blocks too, wins no bond by it."""
    async with watching() as watch:
        session = await watch.session(court.open())
        published = watch.operator.play(session, [1, 2])
        claimed = watch.operator.play(session, [2, 1])
        posted = court.post([whole(claimed)], data_of(published))
        claimant = Claimant(court, posted, claimed.hashes(0, 3))
        await show_leaf_and_hashes(watch, court, posted, claimant)
        for number in (2, 3):
            await demanded(watch, court, posted)
            block = claimed.blocks[number - 1]
            claimant.show_block(number, block.header, block.transactions)
        await watch.until("it is found right", lambda: watch.leaf(posted.claim_id).verdict is LeafVerdict.RIGHT)
        await watch.quiet()
        assert leaf_state(court, posted).open == 0
        assert court.deposit(court.game, ME)[1] == 0  # no bond is locked: no challenge was opened


async def test_a_wrong_seed_is_disproven(court: Court, watching: Watching) -> None:
    async with watching() as watch:
        session = await watch.session(court.open())
        before = balance(court)
        lie = dataclasses.replace(session, seed=keccak256(b"lucky"))
        chain = watch.operator.play(session, [1, 2])
        forged = dataclasses.replace(whole(chain), seed=lie.seed or b"")
        posted = court.post([forged], data_of(chain))
        claimant = Claimant(court, posted, chain.hashes(0, 3))
        await demanded(watch, court, posted)
        claimant.show_leaf()
        await killed(watch, court, posted)
        await assert_paid(watch, court, before, paid=150_000 * RULES.gas_price)


async def test_a_wrong_block_0_is_disproven(court: Court, watching: Watching) -> None:
    async with watching() as watch:
        chain = await play(watch, court)
        before = balance(court)
        forged, hashes = forged_hashes(chain, 0)
        posted = court.post([forged], data_of(chain))
        claimant = Claimant(court, posted, hashes)
        await show_leaf_and_hashes(watch, court, posted, claimant)
        await killed(watch, court, posted)
        gas = 150_000 + (150_000 + len(hashes) * 1_500)
        await assert_paid(watch, court, before, paid=gas * RULES.gas_price)


@pytest.mark.parametrize("what", ["no transition", "another last hash"])
async def test_a_malformed_range_is_disproven(court: Court, watching: Watching, what: str) -> None:
    async with watching() as watch:
        chain = await play(watch, court)
        before = balance(court)
        honest = whole(chain)
        if what == "no transition":
            root = block_hashes_root([honest.last_hash])
            forged = dataclasses.replace(honest, first_number=3, block_hashes_root=root)
        else:
            forged = dataclasses.replace(honest, last_hash=keccak256(b"another"))
        posted = court.post([forged], data_of(chain))
        claimant = Claimant(court, posted, chain.hashes(0, 3))
        await demanded(watch, court, posted)
        claimant.show_leaf()
        await killed(watch, court, posted)
        await assert_paid(watch, court, before, paid=150_000 * RULES.gas_price)


async def test_blocks_after_the_end_are_challenged(court: Court, watching: Watching) -> None:
    async with watching() as watch:
        chain = await play(watch, court)
        before = balance(court)
        forged, hashes = continued(chain)
        posted = court.post([forged], data_of(chain))
        claimant = Claimant(court, posted, hashes)
        await show_leaf_and_hashes(watch, court, posted, claimant)
        await watch.until("it is challenged", lambda: leaf_state(court, posted).open == 1)
        await watch.quiet()
        assert watch.leaf(posted.claim_id).verdict is LeafVerdict.WRONG
        court.world.pass_time(RULES.proof_window + 1)
        await killed(watch, court, posted)
        gas = 150_000 + (150_000 + len(hashes) * 1_500)
        await assert_paid(watch, court, before, paid=gas * RULES.gas_price)


async def test_data_that_is_withheld_is_demanded(court: Court, watching: Watching) -> None:
    terms = court.terms(DataMode.ON_DEMAND)
    async with watching() as watch:
        chain = await play(watch, court, terms=terms)
        before = balance(court)
        posted = court.post([whole(chain)], data_of(chain), terms)
        await demanded(watch, court, posted)
        assert watch.report(posted.claim_id).verdict is ClaimVerdict.MISSING
        await watch.quiet()
        court.world.pass_time(RULES.answer_window + 1)
        await killed(watch, court, posted)
        await assert_paid(watch, court, before)


async def test_an_honest_claim_is_left_alone_and_settles(court: Court, watching: Watching) -> None:
    async with watching() as watch:
        chain = await play(watch, court)
        posted = court.post([whole(chain)], data_of(chain))
        await watch.step()
        assert watch.report(posted.claim_id).verdict is ClaimVerdict.AGREES
        await watch.quiet()
        assert not leaf_state(court, posted).held
        assert watch.parts.store.read(lambda tx: tx.scalar(select(intents.c.key))) is None
        court.world.pass_time(posted.header.challenge_window + 1)
        await watch.quiet()
        assert watch.parts.watchtower.reports == {}


async def test_only_the_wrong_leaf_of_a_claim_dies(court: Court, watching: Watching) -> None:
    async with watching() as watch:
        chains = [await play(watch, court) for _ in range(3)]
        before = balance(court)
        leaves = [whole(chain) for chain in chains]
        leaves[1] = dataclasses.replace(leaves[1], result_hash=keccak256(b"mine"))
        posted = court.post(leaves, data_of(*chains))
        await watch.until("all are demanded", lambda: all(leaf_state(court, posted, i).open for i in range(3)))
        for index, chain in enumerate(chains):
            Claimant(court, posted, chain.hashes(0, 3), index).show_leaf()
        await watch.until("it is challenged", lambda: leaf_state(court, posted, 1).open == 1)
        await watch.quiet()
        assert [watch.leaf(posted.claim_id, i).verdict for i in range(3)] == [
            LeafVerdict.RIGHT,
            LeafVerdict.WRONG,
            LeafVerdict.RIGHT,
        ]
        court.world.pass_time(RULES.proof_window + 1)
        await killed(watch, court, posted, 1)
        assert not leaf_state(court, posted, 0).killed
        await assert_paid(watch, court, before, paid=3 * 150_000 * RULES.gas_price)


async def test_the_budget_bounds_what_is_locked(court: Court, watching: Watching) -> None:
    one = 150_000 * RULES.gas_price
    async with watching(max_bonds=2 * one) as watch:
        chains = [await play(watch, court) for _ in range(4)]
        posted = court.post([whole(c) for c in chains], data_of(*chains), root=keccak256(b"garbage"))
        await watch.until("two are demanded", lambda: sum(leaf_state(court, posted, i).open for i in range(4)) == 2)
        await watch.quiet()
        assert court.deposit(court.game, ME)[1] == 2 * one
        court.world.pass_time(RULES.answer_window + 1)
        await watch.until("both are dead", lambda: sum(leaf_state(court, posted, i).killed for i in range(4)) == 2)
        await watch.quiet()
        # The bonds are free again, and the window is still open for the next two.
        await watch.until("two more", lambda: sum(leaf_state(court, posted, i).open for i in range(4)) == 2)


async def test_no_bond_is_sent_to_a_contract_that_is_not_named(court: Court, watching: Watching) -> None:
    async with watching(dispute_games=()) as watch:
        chain = await play(watch, court)
        posted = court.post([whole(chain)], data_of(chain), root=keccak256(b"garbage"))
        await watch.quiet()
        assert watch.report(posted.claim_id).verdict is ClaimVerdict.DISAGREES
        assert not leaf_state(court, posted).held


async def test_a_lie_after_more_than_a_thousand_blocks_is_found(court: Court, watching: Watching) -> None:
    """Hashes are demanded in groups, all of them at once: a later demand could come too late."""
    moves = 1_030
    async with watching() as watch:
        session = await watch.session(court.open(target=moves))
        chain = watch.operator.play(session, [1] * moves)
        before = balance(court)
        forged, hashes = forged_hashes(chain, 1_026)
        posted = court.post([forged], data_of(chain))
        claimant = Claimant(court, posted, hashes)
        await demanded(watch, court, posted)
        claimant.show_leaf()
        await demanded(watch, court, posted, 2)
        claimant.show_hashes(0)
        claimant.show_hashes(1)
        await demanded(watch, court, posted)
        await watch.quiet()
        assert watch.leaf(posted.claim_id).reason.startswith("block 1026")
        court.world.pass_time(RULES.answer_window + 1)
        await killed(watch, court, posted)
        gas = 150_000 + 2 * 150_000 + len(hashes) * 1_500
        await assert_paid(watch, court, before, paid=gas * RULES.gas_price)


async def test_blocks_of_seeds_are_remembered_before_l1_forgets_them(
    court: Court, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INVARIANT I1: a false seed can be disproven however long the session lasts."""
    monkeypatch.setattr("exclave.challenger.watch.RECORD_SEEDS_AFTER", 20)
    async with watching() as watch:
        session = await watch.session(court.open())
        number = session.opened_block + 1
        facts = bytes.fromhex(court.world.view(court.game, "facts()", ["address"])[2:])

        def recorded() -> bytes:
            return bytes(court.world.view(facts, "recordedBlockHash(uint256)", ["bytes32"], number))

        await watch.quiet()
        assert not any(recorded())
        court.world.anvil.mine(30)
        await watch.until("it is recorded", lambda: any(recorded()))
        header = court.world.anvil.rpc("eth_getBlockByNumber", hex(number), False)
        assert "0x" + recorded().hex() == header["hash"]
