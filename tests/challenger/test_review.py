"""What the watchtower finds out about claims, without a key."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.court import Court, data_of, forged_hashes, whole
from support.running import running_node
from support.watchtower import Watching
from support.world import World

from exclave.challenger.archive import file_name
from exclave.challenger.data import SourceSettings
from exclave.challenger.review import ClaimVerdict
from exclave.challenger.strategy import LeafVerdict
from exclave.protocol import DataMode, keccak256


async def test_an_honest_claim_agrees(court: Court, watching: Watching) -> None:
    async with watching(acts=False) as watch:
        chains = [watch.operator.play(await watch.session(court.open()), [1, 2]) for _ in range(2)]
        posted = court.post([whole(chain) for chain in chains], data_of(*chains))
        await watch.step()
        report = watch.report(posted.claim_id)
        assert report.verdict is ClaimVerdict.AGREES
        assert not report.disagrees
        assert report.leaves == []
    async with watching(acts=False) as watch:  # what was reviewed isn't reviewed again
        await watch.step()
        assert watch.report(posted.claim_id).verdict is ClaimVerdict.AGREES


async def test_a_claim_of_another_result_disagrees(court: Court, watching: Watching) -> None:
    async with watching(acts=False) as watch:
        chain = watch.operator.play(await watch.session(court.open()), [1, 2])
        posted = court.post([dataclasses.replace(whole(chain), result_hash=keccak256(b"mine"))], data_of(chain))
        await watch.step()
        report = watch.report(posted.claim_id)
        assert report.verdict is ClaimVerdict.DISAGREES
        assert report.disagrees
        assert watch.leaf(posted.claim_id).verdict is LeafVerdict.DOUBTFUL


async def test_data_that_gives_no_valid_blocks_disagrees(court: Court, watching: Watching) -> None:
    async with watching(acts=False) as watch:
        session = await watch.session(court.open())
        chain = watch.operator.play(session, [1, 2])
        bad = dataclasses.replace(chain.blocks[1], transactions=(b"\x02nonsense",))
        forged = dataclasses.replace(chain, blocks=(chain.blocks[0], bad, chain.blocks[2]))
        posted = court.post([forged_hashes(chain, 2)[0]], data_of(forged))
        await watch.step()
        assert watch.report(posted.claim_id).verdict is ClaimVerdict.DISAGREES
        assert "block 2" in watch.report(posted.claim_id).reason
        garbage = court.post([whole(chain)], b"garbage")
        await watch.step()
        assert watch.report(garbage.claim_id).verdict is ClaimVerdict.DISAGREES


async def test_checkpoints_are_followed_from_claim_to_claim(court: Court, watching: Watching) -> None:
    async with watching(acts=False) as watch:
        chain = watch.operator.play(await watch.session(court.open(target=4)), [1, 1, 2])
        second = court.post([chain.claim(2, 4)], data_of(chain, first=2))
        await watch.step()
        assert watch.report(second.claim_id).verdict is ClaimVerdict.MISSING
        first = court.post([chain.claim(0, 2)], data_of(chain.cut(2)))
        await watch.step()
        await watch.step()
        assert watch.report(first.claim_id).verdict is ClaimVerdict.AGREES
        assert watch.report(second.claim_id).verdict is ClaimVerdict.AGREES


async def test_a_session_of_an_unknown_template_is_unreviewable(
    court: Court, watching: Watching, tmp_path: Path
) -> None:
    async with watching(acts=False) as watch:
        chain = watch.operator.play(await watch.session(court.open()), [1, 2])
        posted = court.post([whole(chain)], data_of(chain))
    fresh = {"templates": (), "database_url": f"sqlite:///{tmp_path}/fresh.db"}
    async with watching(acts=False, with_operator=False, **fresh) as watch:
        await watch.step()
        assert watch.report(posted.claim_id).verdict is ClaimVerdict.UNREVIEWABLE


async def test_data_that_is_not_on_l1_comes_from_an_archive(court: Court, watching: Watching, tmp_path: Path) -> None:
    terms = court.terms(DataMode.ON_DEMAND)
    sources = SourceSettings(archives=(str(tmp_path / "archive"),))
    async with watching(acts=False, sources=sources) as watch:
        chain = watch.operator.play(await watch.session(court.open(terms=terms)), [1, 2])
        data = data_of(chain)
        posted = court.post([whole(chain)], data, terms)
        await watch.step()
        assert watch.report(posted.claim_id).verdict is ClaimVerdict.MISSING
        (tmp_path / "archive").mkdir()
        file = tmp_path / "archive" / file_name(keccak256(data))
        file.write_bytes(data + b"x")  # whoever keeps it isn't trusted
        await watch.step()
        assert watch.report(posted.claim_id).verdict is ClaimVerdict.MISSING
        file.write_bytes(data)
        await watch.step()
        assert watch.report(posted.claim_id).verdict is ClaimVerdict.AGREES


async def test_claims_of_a_running_node_agree_in_each_data_mode(
    world: World, court: Court, watching: Watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = {"dispute_games": ["0x" + court.game.hex()], "verifiers": ["0x" + court.verifier.hex()]}
    async with running_node(world, tmp_path, monkeypatch, accept=accept) as node:
        sources = SourceSettings(rpc_urls=(f"http://127.0.0.1:{node.node.port}",))
        async with watching(acts=False, sources=sources) as watch:
            for mode in DataMode:
                session_id = court.open(target=3, terms=court.terms(mode, challenge_window=3600, abort_delay=8000))
                await node.opened(session_id)
                await node.play(session_id, 2)
                await node.play(session_id, 1, player=1)
                claim_id = await node.claimed(session_id)
                await watch.until("it is reviewed", lambda number=claim_id: number in watch.parts.watchtower.reports)
                assert watch.report(claim_id).verdict is ClaimVerdict.AGREES, watch.report(claim_id).reason


async def test_blobs_come_from_a_beacon_node(
    world: World, court: Court, watching: Watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = {"dispute_games": ["0x" + court.game.hex()], "verifiers": ["0x" + court.verifier.hex()]}
    async with running_node(world, tmp_path, monkeypatch, accept=accept) as node:
        terms = court.terms(DataMode.BLOB, challenge_window=3600, abort_delay=8000)
        session_id = court.open(target=3, terms=terms)
        await node.opened(session_id)
        await node.play(session_id, 3)
        claim_id = await node.claimed(session_id)
    # The other way to blobs, that of development nodes, is closed.
    monkeypatch.setattr("exclave.challenger.data.DEVELOPMENT_CHAINS", frozenset())
    async with watching(acts=False, with_operator=False, sources=SourceSettings(beacon_url=world.anvil.url)) as watch:
        await watch.step()
        assert watch.report(claim_id).verdict is ClaimVerdict.AGREES, watch.report(claim_id).reason


async def test_a_review_that_takes_long_goes_on_beside_the_passes(court: Court, watching: Watching) -> None:
    """INVARIANT I5: it keeps no other claim from its review."""
    async with watching(acts=False, review_time=0.0) as watch:
        chain = watch.operator.play(await watch.session(court.open()), [1, 2])
        posted = court.post([whole(chain)], data_of(chain))
        await watch.step()
        assert watch.report(posted.claim_id).verdict is ClaimVerdict.PENDING
        await watch.until("it is done", lambda: watch.report(posted.claim_id).verdict is ClaimVerdict.AGREES)
