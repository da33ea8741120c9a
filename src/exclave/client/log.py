"""A session's log: its configuration, and all blocks with transactions and preconfirmations, as JSON lines.

It needs nobody's word: whoever has it and the template can execute the session again, and every block is signed by the
operator. `.gz` in the file's name compresses it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from exclave import _engine
from exclave.client.errors import NotSigned, WrongSession
from exclave.client.opening import SessionOpening
from exclave.protocol import (
    Header,
    InvalidSignature,
    ProtocolError,
    genesis_header,
    keccak256,
    preconfirmation_digest,
    recover_signer,
)

FORMAT = "exclave-session-1"


@dataclass(frozen=True, slots=True)
class LoggedBlock:
    """A block as the operator made and signed it."""

    number: int
    hash: bytes
    header: bytes
    transactions: tuple[bytes, ...]
    preconfirmation: bytes

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> LoggedBlock:
        """From what `zkcop_getRawBlocks` answers, or a log's line has. Raises `WrongSession`."""
        try:
            return cls(
                int(answer["number"], 16),
                _bytes(answer["hash"]),
                _bytes(answer["header"]),
                tuple(_bytes(transaction) for transaction in answer["transactions"]),
                _bytes(answer["preconfirmation"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WrongSession(f"that isn't a block: {error}") from error

    def as_answer(self) -> dict[str, Any]:
        """What `from_answer` reads."""
        return {
            "number": hex(self.number),
            "hash": _hex(self.hash),
            "header": _hex(self.header),
            "transactions": [_hex(transaction) for transaction in self.transactions],
            "preconfirmation": _hex(self.preconfirmation),
        }


@contextlib.contextmanager
def replay(opening: SessionOpening, template: bytes) -> Iterator[Replay]:
    """Executes a session's blocks again. Raises `WrongSession` if the template isn't the session's."""
    engine = _engine.Engine(
        persist=_unused,
        wake=_unused,
        call=_unused,
        preconfirmation_key=None,
        l1_chain_id=opening.l1_chain_id,
        zk_relayer=opening.zk_relayer,
    )
    try:
        added = engine.add_template(template)
        if added.template_id != opening.config.template_id:
            raise WrongSession(f"the template isn't that of session {opening.session_id}")
        init = opening.init_message()
        engine.open_session(
            opening.session_id,
            opening.chain_id,
            added.state_root,
            opening.config_hash(),
            opening.seed,
            opening.config.opened_at,
            init.encode_transaction(),
            inclusion_delay=opening.terms.inclusion_delay,
        )
        genesis = genesis_header(
            added.state_root, opening.config_hash(), opening.seed, opening.config.opened_at, init.hash()
        )
        yield Replay(opening, engine, genesis.hash())
    except _engine.EngineError as error:
        raise WrongSession(f"session {opening.session_id} can't be executed: {error}") from error
    finally:
        engine.shutdown()


class Replay:
    """A session that is executed block by block."""

    def __init__(self, opening: SessionOpening, engine: _engine.Engine, genesis: bytes) -> None:
        self._opening = opening
        self._engine = engine
        self.number = 0
        self.hash = genesis
        self.result: bytes | None = None

    def check(self, block: LoggedBlock) -> None:
        """The next block: executed, compared, and its signature checked. Raises `WrongSession`, `NotSigned`."""
        opening = self._opening
        if block.number != self.number + 1 or keccak256(block.header) != block.hash:
            raise WrongSession(f"after block {self.number} comes something else than block {self.number + 1}")
        try:
            timestamp = Header.decode(block.header).timestamp
            digest = preconfirmation_digest(
                opening.l1_chain_id, opening.zk_relayer, opening.session_id, block.number, block.hash
            )
            signer = recover_signer(digest, block.preconfirmation)
        except InvalidSignature as error:
            raise NotSigned(f"block {block.number} isn't signed: {error}") from error
        except ProtocolError as error:
            raise WrongSession(f"block {block.number} has no header of a session: {error}") from error
        if signer != opening.terms.operator:
            raise NotSigned(f"block {block.number} is signed by 0x{signer.hex()}, not by the operator")
        executed = self._engine.execute_block(opening.session_id, timestamp, list(block.transactions))
        if executed.hash != block.hash:
            raise WrongSession(f"block {block.number} isn't what its transactions give: the operator signed a lie")
        self.number, self.hash, self.result = block.number, block.hash, executed.result


def write_log(path: Path, opening: SessionOpening, template: bytes, blocks: Iterable[LoggedBlock]) -> int:
    """Write a session's log, verified while it is written; returns how many blocks it has. The file is on disk when
    this returns, and isn't there if it raised. Raises `WrongSession`, `NotSigned`, `OSError`.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as raw, replay(opening, template) as session:
            stack = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) if path.suffix == ".gz" else raw
            head = {
                "format": FORMAT,
                "l1ChainId": hex(opening.l1_chain_id),
                "zkRelayer": _hex(opening.zk_relayer),
                "session": opening.as_answer(),
            }
            stack.write(_line(head))
            for block in blocks:
                session.check(block)
                stack.write(_line(block.as_answer()))
            if stack is not raw:
                stack.close()
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(temporary, path)
        return session.number
    finally:
        temporary.unlink(missing_ok=True)


def read_log(path: Path) -> tuple[SessionOpening, Iterator[LoggedBlock]]:
    """A log's session and blocks, which `replay` checks. Raises `WrongSession`, `OSError`."""
    lines = _lines(path)
    try:
        head = next(lines)
        if head["format"] != FORMAT:
            raise WrongSession(f"{path} isn't a log of this version")
        relayer = _bytes(head["zkRelayer"])
        opening = SessionOpening.from_answer(head["session"], int(head["l1ChainId"], 16), relayer)
    except (StopIteration, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WrongSession(f"{path} isn't a session's log") from error
    return opening, (LoggedBlock.from_answer(line) for line in lines)


def _lines(path: Path) -> Iterator[Any]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                yield json.loads(line)
    except (ValueError, EOFError, gzip.BadGzipFile, RecursionError) as error:
        raise WrongSession(f"{path} is damaged: {error}") from error


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _bytes(value: str) -> bytes:
    return bytes.fromhex(value.removeprefix("0x"))


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _unused(*_: object) -> NoReturn:
    raise AssertionError("an engine whose sessions aren't active calls nothing")
