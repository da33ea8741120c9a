"""`kill -9` of a node at random moments of play, and at chosen ones of claim and settlement.

INVARIANT I6: no acknowledged transaction is lost, none is executed twice.
INVARIANT I7: each intent toward L1 takes effect once.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from support.anvil import run_anvil
from support.databases import fresh_postgres_url
from support.node_process import NodeProcess
from support.play import (
    CHALLENGE_WINDOW,
    MOVES,
    Match,
    Players,
    check_l1,
    check_play,
    wait_until_settled,
)
from support.world import OPERATOR_KEY, World, build_game_template

from benchmarks import report
from exclave.protocol import address_of
from exclave.store import JobState, Store


class Killer:
    """Kills the node and starts it again, and notes what it was at: a claim or settlement that was recorded, and that
    the node didn't yet know to be on L1.
    """

    def __init__(self, node: NodeProcess, players: Players, seed: int) -> None:
        self._node, self._players = node, players
        self._chance = random.Random(seed)
        self._store = Store(node.database_url)
        self.kills = 0
        self.during = {JobState.BATCHED: 0, JobState.SETTLEABLE: 0}

    def kill_at_random(self) -> None:
        time.sleep(self._chance.uniform(0.05, 3.0))
        self._kill()

    def kill_during(self, state: JobState) -> None:
        """As soon as a session's claim (BATCHED) or settlement (SETTLEABLE) is under way, and a moment later."""
        deadline = time.monotonic() + 120
        while not self._store.jobs.counts()[state]:
            self._players.check()
            assert time.monotonic() < deadline, f"no job became {state}:\n{self._node.log_tail()}"
            time.sleep(0.01)
        time.sleep(self._chance.uniform(0, 0.3))
        self._kill()

    def _kill(self) -> None:
        self._node.kill()
        self.kills += 1
        counts = self._store.jobs.counts()
        for state in self.during:
            self.during[state] += counts[state] > 0
        # Half of the time the next one is killed while it starts.
        self._node.start(wait=self._chance.random() < 0.5)

    def close(self) -> None:
        self._store.close()


def _play_under_kills(directory: Path, kills: int, seed: int) -> dict[str, int]:
    with run_anvil("--block-time", "1", "--slots-in-an-epoch", "1") as anvil:
        world = World.create(anvil, build_game_template(), address_of(OPERATOR_KEY))
        node = NodeProcess(world, directory)
        players = Players(world, node, seed)
        killer = Killer(node, players, seed)
        node.start()
        try:
            players.start()
            for number in range(kills):
                match number % 5:
                    case 3:
                        killer.kill_during(JobState.BATCHED)
                    case 4:
                        killer.kill_during(JobState.SETTLEABLE)
                    case _:
                        killer.kill_at_random()
            assert killer.kills == kills
            assert killer.during[JobState.BATCHED] >= kills // 10, killer.during
            assert killer.during[JobState.SETTLEABLE] >= kills // 10, killer.during
            node.wait_until_serving()
            players.finish()
            wait_until_settled(world, players.matches, node)
            for match in players.matches:
                check_play(world, node, match)
            check_l1(world, players.matches)
            assert node.terminate() == 0, node.log_tail()
        finally:
            node.stop()
            killer.close()
        acknowledged = sum(len(match.acknowledged) for match in players.matches)
        return {
            "kills": killer.kills,
            "survived": killer.kills,
            "during_claims": killer.during[JobState.BATCHED],
            "during_settlements": killer.during[JobState.SETTLEABLE],
            "sessions": len(players.matches),
            "acknowledged": acknowledged,
        }


@pytest.mark.timeout(600)
def test_invariant_i6_i7_five_kills(tmp_path: Path) -> None:
    _play_under_kills(tmp_path, kills=5, seed=1)


KILL_COMMAND = "EXCLAVE_KILL_RESULT=1 pytest -m slow tests/adversarial"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_invariant_i6_i7_hundred_kills(tmp_path: Path) -> None:
    seed = int(os.environ.get("EXCLAVE_KILL_SEED", "2"))
    figures = _play_under_kills(tmp_path, kills=int(os.environ.get("EXCLAVE_KILLS", "100")), seed=seed)
    if os.environ.get("EXCLAVE_KILL_RESULT"):
        report.write("kill9", figures, {**report.machine(), "command": KILL_COMMAND})


@pytest.mark.timeout(600)
def test_invariant_i6_another_machine_takes_over(tmp_path: Path, postgres_directory: str) -> None:
    """Two nodes, each with a directory of its own, and one PostgreSQL: a standby is refused while the first one lives,
    and goes on with its sessions when it died.
    """
    url = fresh_postgres_url(postgres_directory)
    with run_anvil("--block-time", "1", "--slots-in-an-epoch", "1") as anvil:
        world = World.create(anvil, build_game_template(), address_of(OPERATOR_KEY))
        lease = {"node.lease_seconds": "3.0"}
        first, second = (NodeProcess(world, tmp_path / name, lease, url) for name in ("first", "second"))
        try:
            first.start()
            match = Match(world.open_session(target=MOVES, terms=world.terms(challenge_window=CHALLENGE_WINDOW)))
            players = Players(world, first, seed=1)
            players.move_until(match, 0, MOVES // 2)
            second.start(wait=False)
            assert second.process is not None and second.process.wait(60) == 1
            assert "another node" in second.log_tail() and "uses PostgreSQL database" in second.log_tail()
            first.kill()
            deadline = time.monotonic() + 60
            while True:
                second.start(wait=False)
                try:
                    second.wait_until_serving()
                    break
                except AssertionError:
                    assert time.monotonic() < deadline, second.log_tail()
            players.node = second
            players.move_until(match, MOVES // 2, MOVES)
            wait_until_settled(world, [match], second)
            check_play(world, second, match)
            assert world.callbacks(match.session_id) == 1
            assert second.terminate() == 0, second.log_tail()
        finally:
            first.stop()
            second.stop()
