"""Builds the game's template: `mud deploy` into a session of its own, whose state is then exported.

For developers of the game: it needs Node, and the packages that `npm ci` installs. To play, `template.bin` is enough.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from exclave import _engine, contracts
from exclave.protocol import base_template
from exclave.protocol.constants import ZERO_HASH
from holdfast.paths import GAME, TOOLCHAIN

LOCAL_SESSION_ID: Final = 2**31
CHAIN_ID: Final = 31_337
DEPLOYER_KEY: Final = bytes(31) + b"\x01"
"""Everybody's: it owns nothing any more once the template is built."""

SALT: Final = "0x" + "00" * 32
"""Of the World's CREATE2 address, so that building twice gives the same template."""

FREE: Final = "--with-gas-price 0 --priority-gas-price 0"
"""Options of `forge script`, which else offers 1 wei of fee that accounts in a session don't have."""


class BuildFailed(Exception):
    """A tool of the build ended with an error; the message holds the end of what it said."""


@dataclass(frozen=True)
class TemplateSession:
    """A template-building session that is being served."""

    engine: _engine.Engine
    url: str

    def export(self) -> bytes:
        """The state as a template's file."""
        return self.engine.export_template(LOCAL_SESSION_ID)


@contextmanager
def template_session() -> Iterator[TemplateSession]:
    """A session with nothing but the session contract and the CREATE2 deployer, which lives as long as the context.

    Its blocks are kept in memory only.
    """
    engine = _new_engine()
    try:
        template = engine.add_template(base_template(contracts.load("ExclaveSession").deployed_bytecode))
        engine.open_session(
            LOCAL_SESSION_ID, CHAIN_ID, template.state_root, ZERO_HASH, ZERO_HASH, int(time.time()), None
        )
        engine.activate(LOCAL_SESSION_ID)
        port = engine.serve("127.0.0.1", 0)
        yield TemplateSession(engine, f"http://127.0.0.1:{port}/session/{LOCAL_SESSION_ID}")
    finally:
        engine.shutdown()


def mud_deploy(url: str, *, private_key: bytes = DEPLOYER_KEY, salt: str = SALT) -> str:
    """Run `mud deploy` (which builds first) against a chain with the session predeploy; returns the World's address.

    Raises:
        BuildFailed: `mud deploy` failed.
    """
    run_tool(
        ["npx", "mud", "deploy", "--rpc", url, "--salt", salt, f"--forgeScriptOptions={FREE}"],
        PRIVATE_KEY="0x" + private_key.hex(),
    )
    deployment = json.loads((GAME / "deploys" / str(CHAIN_ID) / "latest.json").read_text())
    return str(deployment["worldAddress"])


def build_template() -> tuple[bytes, str]:
    """Deploy the game's sources into a fresh session; returns the template's file and the World's address.

    Raises:
        BuildFailed: a tool failed.
    """
    with template_session() as session:
        world = mud_deploy(session.url)
        return session.export(), world


def describe_template(data: bytes, world: str) -> dict[str, str]:
    """What goes with a template's file: the hashes that L1 knows, and where the World is in it.

    Raises:
        exclave._engine.TemplateError: it isn't one.
    """
    engine = _new_engine()
    try:
        template = engine.add_template(data)
    finally:
        engine.shutdown()
    return {
        "stateRoot": "0x" + template.state_root.hex(),
        "dataHash": "0x" + template.data_hash.hex(),
        "templateId": "0x" + template.template_id.hex(),
        "world": world,
    }


def _new_engine() -> _engine.Engine:
    def refuse(method: str, params: str) -> str:
        raise _engine.RpcError(-32601, f"the method {method} does not exist")

    return _engine.Engine(
        persist=lambda blocks: None,
        wake=lambda session_id: False,
        call=refuse,
        preconfirmation_key=None,
        l1_chain_id=CHAIN_ID,
        zk_relayer=bytes(20),
    )


def run_tool(command: list[str], **environment: str) -> str:
    """Run a tool in the game's directory with forge on its path; returns what it said.

    Raises:
        BuildFailed: it could not be started, or ended with an error.
    """
    path = f"{TOOLCHAIN}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        done = subprocess.run(
            command,
            cwd=GAME,
            env={**os.environ, "PATH": path, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except OSError as error:
        raise BuildFailed(f"cannot run {command[0]}: {error}") from error
    if done.returncode:
        raise BuildFailed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout
