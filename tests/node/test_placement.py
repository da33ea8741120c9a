"""Where sessions go that nobody has."""

from __future__ import annotations

from collections import Counter

from exclave.node.placement import Placement
from exclave.store import Process

NAMES = ["a", "b", "c", "d"]
SESSIONS = range(1, 1001)


def processes(*dead: str, without: str = "") -> list[Process]:
    return [Process(name, f"http://{name}", name not in dead) for name in NAMES if name != without]


def homes(owner: str, seen: list[Process]) -> dict[int, str]:
    placement = Placement(owner)
    placement.learn(seen)
    return {session_id: placement.home(session_id) or f"http://{owner}" for session_id in SESSIONS}


def test_all_processes_agree_and_share_evenly() -> None:
    seen = processes()
    first = homes("a", seen)
    assert all(homes(name, seen) == first for name in NAMES)
    assert all(200 < count < 300 for count in Counter(first.values()).values())


def test_when_a_process_dies_only_its_sessions_move() -> None:
    before = homes("a", processes())
    for seen in (processes("c"), processes(without="c")):
        after = homes("a", seen)
        moved = {session_id for session_id in SESSIONS if before[session_id] != after[session_id]}
        assert moved == {session_id for session_id, home in before.items() if home == "http://c"}


def test_a_process_without_others_takes_all() -> None:
    assert set(homes("a", []).values()) == {"http://a"}
    placement = Placement("a")
    placement.learn(processes("b", "c", "d"))
    assert all(placement.home(session_id) is None for session_id in SESSIONS)
    assert placement.url_of("c") == "http://c" and placement.url_of("stranger") is None
