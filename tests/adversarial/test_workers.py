"""Several processes on one database: any of them may die at any moment.

INVARIANT I6: no acknowledged transaction is lost, none is executed twice, no session runs in two processes.
INVARIANT I7: each intent toward L1 takes effect once, whoever leads.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.anvil import run_anvil
from support.databases import fresh_postgres_url
from support.engine import wait_until
from support.node_process import NodeProcess
from support.play import CHALLENGE_WINDOW, MOVES, Match, Players, check_l1, check_play, wait_until_settled
from support.rpc import Client, Session
from support.websocket import open_socket
from support.world import OPERATOR_KEY, PLAYERS, World, build_game_template

from benchmarks import report
from exclave.protocol import address_of, keccak256
from exclave.store import Store

WORKERS = 3


@contextmanager
def deployed() -> Iterator[World]:
    with run_anvil("--block-time", "1", "--slots-in-an-epoch", "1") as anvil:
        yield World.create(anvil, build_game_template(), address_of(OPERATOR_KEY))


class Killer:
    """Kills workers, every third time the one that leads."""

    def __init__(self, node: NodeProcess, seed: int) -> None:
        self._node = node
        self._chance = random.Random(seed)
        self._store = Store(node.database_url)
        self.kills = 0
        self.leaders = 0
        self.owners: set[str] = set()
        """Processes that were seen to have sessions."""

    def kill(self, players: Players) -> None:
        """One more, a while after all serve; every fourth time whether they do or not, so also one that starts."""
        moment = time.monotonic() + self._chance.uniform(0.5, 3.0)
        deadline = time.monotonic() + 120
        while time.monotonic() < moment or (self.kills % 4 != 3 and self._serving() < WORKERS):
            assert time.monotonic() < deadline, self._node.log_tail()
            players.check()
            self._see_owners(players)
            time.sleep(0.2)
        time.sleep(self._chance.uniform(0, 1.0))
        self._see_owners(players)
        running = self._node.worker_processes()
        leader = self._leader()
        number = leader if self.kills % 3 == 2 and leader in running else self._chance.choice(sorted(running))
        self.leaders += number == leader
        os.kill(running[number], signal.SIGKILL)
        self.kills += 1

    def _serving(self) -> int:
        return sum(process.alive for process in self._store.processes.all())

    def _see_owners(self, players: Players) -> None:
        for match in players.matches:
            if lease := self._store.leases.holder(f"session:{match.session_id}"):
                self.owners.add(lease.owner)

    def _leader(self) -> int | None:
        lease = self._store.leases.holder("node")
        for number in range(WORKERS):
            path = self._node.directory / "data" / f"worker-{number}" / "node.id"
            if lease is not None and path.exists() and path.read_text() == lease.owner:
                return number
        return None

    def close(self) -> None:
        self._store.close()


def play_while_workers_die(directory: Path, database_url: str, kills: int, seed: int) -> dict[str, int]:
    with deployed() as world:
        node = NodeProcess(world, directory, {}, database_url, workers=WORKERS)
        players = Players(world, node, seed)
        killer = Killer(node, seed)
        node.start()
        try:
            players.start()
            for _ in range(kills):
                killer.kill(players)
            players.finish()
            assert len(killer.owners) > 1, "all sessions were in one process"
            assert killer.leaders, "the process that leads was never killed"
            wait_until_settled(world, players.matches, node)
            for match in players.matches:
                check_play(world, node, match)
            check_l1(world, players.matches)
            assert node.terminate(90) == 0, node.log_tail()
        finally:
            node.stop()
            killer.close()
        return {
            "kills": killer.kills,
            "survived": killer.kills,
            "leaders": killer.leaders,
            "sessions": len(players.matches),
            "acknowledged": sum(len(match.acknowledged) for match in players.matches),
        }


@pytest.mark.timeout(600)
def test_invariant_i6_i7_workers_that_die(tmp_path: Path, database_url: str) -> None:
    play_while_workers_die(tmp_path, database_url, kills=3, seed=1)


KILL_COMMAND = "EXCLAVE_KILL_RESULT=1 pytest -m slow tests/adversarial/test_workers.py -k hundred"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_invariant_i6_i7_a_hundred_workers_that_die(tmp_path: Path, postgres_directory: str) -> None:
    kills = int(os.environ.get("EXCLAVE_KILLS", "100"))
    figures = play_while_workers_die(tmp_path, fresh_postgres_url(postgres_directory), kills, seed=2)
    if os.environ.get("EXCLAVE_KILL_RESULT"):
        report.write("kill9_workers", figures, {**report.machine(), "command": KILL_COMMAND, "workers": WORKERS})


@pytest.mark.timeout(600)
def test_machines_that_share_a_database(tmp_path: Path, postgres_directory: str) -> None:
    """Two nodes with directories of their own: either answers for any session, and when the one that leads dies the
    other goes on with all of them.
    """
    url = fresh_postgres_url(postgres_directory)
    with deployed() as world:
        shared = {"node.shared": "true", "node.lease_seconds": "3.0"}
        first, second = (NodeProcess(world, tmp_path / name, shared, url) for name in ("first", "second"))
        stranger = NodeProcess(world, tmp_path / "stranger", shared, url, operator_key=keccak256(b"another operator"))
        store = Store(url)
        try:
            first.start()
            second.start()
            players = Players(world, first, seed=1)
            terms = world.terms(challenge_window=CHALLENGE_WINDOW)
            matches = [Match(world.open_session(target=MOVES, terms=terms)) for _ in range(6)]
            for match in matches:
                players.move_until(match, 0, 2)
            players.node = second
            for match in matches:
                players.move_until(match, 2, 4)
            owners = {store.leases.holder(f"session:{match.session_id}").owner for match in matches}  # type: ignore[union-attr]
            assert len(owners) == 2, "the sessions aren't spread"
            asyncio.run(hear_of_a_move(world, first, second, matches))
            assert first.call("zkcop_nodeInfo") == second.call("zkcop_nodeInfo")

            stranger.start(wait=False)
            assert stranger.process is not None and stranger.process.wait(60) == 1
            assert "nodes that share a database need the same" in stranger.log_tail()

            first.kill()
            for match in matches:
                players.move_until(match, 5, MOVES)
            wait_until_settled(world, matches, second)
            for match in matches:
                check_play(world, second, match)
            check_l1(world, matches)
            assert second.terminate() == 0, second.log_tail()
        finally:
            for node in (first, second, stranger):
                node.stop()
            store.close()


async def hear_of_a_move(world: World, first: NodeProcess, second: NodeProcess, matches: list[Match]) -> None:
    """The fifth move of each match is sent through one machine and heard of through the other."""
    for match in matches:
        path = f"/session/{match.session_id}"
        listener = Session(None, match.session_id, first.url + path, Client(first.url + path))  # type: ignore[arg-type]
        async with open_socket(listener) as client:
            heads = await client("eth_subscribe", "newHeads")
            raw = "0x" + world.increment(match.session_id, PLAYERS[0], 4).hex()
            answer = await asyncio.to_thread(second.call, "eth_sendRawTransaction", raw, session=match.session_id)
            match.acknowledged[4] = answer
            heard = (await client.heard(heads, 1))[0]
            receipt = await asyncio.to_thread(first.call, "eth_getTransactionReceipt", answer, session=match.session_id)
            assert heard["hash"] == receipt["blockHash"]


@pytest.mark.timeout(300)
def test_workers_stop_with_the_process_that_keeps_them(tmp_path: Path) -> None:
    with deployed() as world:
        node = NodeProcess(world, tmp_path, workers=2)
        node.start()
        workers = node.worker_processes()
        assert sorted(workers) == [0, 1]
        second = NodeProcess(world, tmp_path / "second", {"node.data_dir": f'"{tmp_path}/data"'}, node.database_url, 2)
        second.start(wait=False)
        assert second.process is not None and second.process.wait(60) == 1
        assert "another node" in second.log_tail()
        node.kill()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers.values()))
        # What they had is free, or their own.
        node.start()
        assert node.terminate(90) == 0, node.log_tail()


@pytest.mark.timeout(300)
def test_workers_that_cannot_start_say_why_and_end(tmp_path: Path) -> None:
    with deployed() as world:
        node = NodeProcess(world, tmp_path, {"l1.chain_id": "5"}, workers=2)
        node.start(wait=False)
        assert node.process is not None and node.process.wait(120) == 1
        assert "a worker can't go on" in node.log_tail()


@pytest.mark.slow  # a Ray cluster takes half a minute to start on two busy cores
@pytest.mark.timeout(600)
def test_workers_on_ray(tmp_path: Path, postgres_directory: str) -> None:
    """The same workers, started by actors of a Ray cluster: one that dies is started again, and so is one whose actor
    dies.
    """
    url = fresh_postgres_url(postgres_directory)
    with deployed() as world:
        node = NodeProcess(world, tmp_path, {"node.lease_seconds": "3.0"}, url, workers=2, ray="local")
        store = Store(url)
        try:
            node.start(wait=False)
            node.wait_until_serving(180)
            wait_until(lambda: len([one for one in store.processes.all() if one.alive]) == 2, 120)
            players = Players(world, node, seed=1)
            match = Match(world.open_session(target=MOVES, terms=world.terms(challenge_window=CHALLENGE_WINDOW)))
            players.move_until(match, 0, 4)
            first = node.worker_processes()
            os.kill(first[0], signal.SIGKILL)
            players.move_until(match, 4, 6)
            actor = int(Path(f"/proc/{first[1]}/stat").read_text().rpartition(")")[2].split()[1])
            os.kill(actor, signal.SIGKILL)
            players.move_until(match, 6, 8)

            def both_again() -> bool:
                now = node.worker_processes()
                return len(now) == 2 and not set(now.values()) & set(first.values())

            wait_until(both_again, 120)
            players.move_until(match, 8, MOVES)
            wait_until_settled(world, [match], node)
            check_play(world, node, match)
            assert node.terminate(120) == 0, node.log_tail()
            assert not node.worker_processes()
        finally:
            node.stop()
            store.close()
