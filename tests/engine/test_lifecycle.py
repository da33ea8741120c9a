"""Starting, serving, stopping."""

from __future__ import annotations

import contextlib
import gc
import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.engine import PLAYERS, Node, chain_id, forced_transaction, request, sign, wait_until

from exclave import _engine

TESTS = Path(__file__).parent.parent


def test_json_rpc_is_served_per_session(node: Node) -> None:
    node.open(1)
    port = node.engine.serve("127.0.0.1", 0)
    assert request(port, "/session/1", "eth_chainId")["result"] == hex(chain_id(1))
    raw = sign(1, PLAYERS[0], 0)
    answer = request(port, "/session/1", "eth_sendRawTransaction", "0x" + raw.hex())
    assert answer["result"] == "0x" + node.store.transaction_hashes(1)[-1].hex()
    assert request(port, "/session/1", "eth_blockNumber")["result"] == "0x2"


def test_python_answers_the_coprocessor_s_methods(start: Callable[..., Node]) -> None:
    def call(method: str, params: str) -> str:
        if method == "zkcop_fail":
            raise _engine.RpcError(-32001, "no such claim", '{"id": 5}')
        if method == "zkcop_crash":
            raise RuntimeError("secret")
        return json.dumps([method, json.loads(params)])

    port = start(call=call).engine.serve("127.0.0.1", 0)
    assert request(port, "/", "zkcop_echo", 1)["result"] == ["zkcop_echo", [1]]
    assert request(port, "/", "zkcop_fail")["error"] == {"code": -32001, "message": "no such claim", "data": {"id": 5}}
    error = request(port, "/", "zkcop_crash")["error"]
    assert isinstance(error, dict) and error["code"] == -32603 and "secret" not in str(error)


def test_a_taken_port_is_an_os_error(node: Node) -> None:
    port = node.engine.serve("127.0.0.1", 0)
    with pytest.raises(OSError):
        node.engine.serve("127.0.0.1", port)


def test_shutdown_finishes_what_was_accepted(node: Node) -> None:
    node.open(1)
    with node.store.held() as held:
        first = node.submit_later(1, sign(1, PLAYERS[0], 0))
        assert held.wait(30)
        second = node.submit_later(1, *(sign(1, PLAYERS[1], nonce) for nonce in range(3)))
        wait_until(second.running)
        stopping = threading.Thread(target=node.engine.shutdown)
        stopping.start()
    hashes = first.result(30)
    # The second call came before or after the door was closed; either way it has a definite answer.
    error = second.exception(30)
    hashes += [] if error else second.result()
    assert error is None or (isinstance(error, _engine.SubmitError) and error.kind == "ShuttingDown")
    stopping.join(30)
    assert not stopping.is_alive()
    assert set(hashes) <= set(node.store.transaction_hashes(1))


def test_after_shutdown_everything_is_refused_and_shutdown_is_idempotent(node: Node) -> None:
    node.open(1)
    node.engine.shutdown()
    node.engine.shutdown()
    with pytest.raises(_engine.SubmitError) as caught:
        node.submit(1, sign(1, PLAYERS[0], 0))
    assert caught.value.kind == "ShuttingDown"
    for refused in (
        lambda: node.open_only(2),
        lambda: node.engine.activate(1),
        lambda: node.engine.enqueue_messages(1, [forced_transaction(1, 0)]),
    ):
        with pytest.raises(_engine.EngineError, match="shutting down"):
            refused()


def test_shutdown_is_bounded_when_the_store_hangs(start: Callable[..., Node]) -> None:
    node = start(limits={"shutdown_ms": 100, "persist_retry_ms": 10})
    node.open(1)

    def refuse(blocks: list[_engine.Block]) -> None:
        raise OSError("gone")

    node.store.gate = refuse
    node.engine.enqueue_messages(1, [forced_transaction(1, 0)])
    node.engine.shutdown()
    assert node.engine.session_ids() == []


def test_an_unreachable_engine_goes_away() -> None:
    before = native_threads()
    engine = _engine.Engine(
        persist=lambda blocks: None,
        wake=lambda session_id: False,
        call=lambda method, params: "null",
        preconfirmation_key=None,
        l1_chain_id=1,
        zk_relayer=bytes(20),
    )

    def threads() -> dict[str, str]:
        """Those that came with this engine; others may come and go meanwhile."""
        return {thread: name for thread, name in native_threads().items() if thread not in before}

    kinds = {"exclave-commit", "exclave-build-", "exclave-rpc"}
    wait_until(lambda: {name.rstrip("0123456789") for name in threads().values()} == kinds)
    started = threads()
    del engine
    gc.collect()
    wait_until(lambda: not started.keys() & native_threads().keys())


def native_threads() -> dict[str, str]:
    """Names of the engines' threads by their ids."""
    names = {}
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            names[task.name] = (task / "comm").read_text().strip()
    return {task: name for task, name in names.items() if name.startswith("exclave-")}


@pytest.mark.parametrize(
    "ending", ["", "raise SystemExit(0)", "import os, signal; os.kill(os.getpid(), signal.SIGINT)"]
)
def test_the_interpreter_exits_cleanly_without_shutdown(ending: str) -> None:
    program = textwrap.dedent(
        """
        import signal
        from support.engine import Node, sign, PLAYERS
        # Whoever runs the tests in the background may have it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        node = Node()
        node.open(1)
        node.engine.serve("127.0.0.1", 0)
        node.submit(1, sign(1, PLAYERS[0], 0))
        print("played", flush=True)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program + ending], cwd=TESTS, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "played\n"
    expected = 0 if "SIGINT" not in ending else -2
    assert done.returncode == expected, done.stderr
