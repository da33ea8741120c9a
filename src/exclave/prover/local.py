"""Proofs by this machine's own prover, the program `exclave-prover`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

import exclave
from exclave.prover.errors import InvalidProof, ProverFailed, ProverMissing
from exclave.prover.program import PROGRAM_ID
from exclave.prover.proof import Proof, ProofRequest
from exclave.prover.prover import Progress, Stage
from exclave.prover.statement import Recovery

log = structlog.get_logger(__name__)

VARIABLE: Final = "EXCLAVE_PROVER"
"""Environment variable with the program's path."""

NAME: Final = "exclave-prover"
SEGMENT_MEMORY: Final = 9 << 30
"""Bytes that the proof of one segment may take, by the prover's estimate, which is nearly twice what it takes. Less
makes more segments, and a longer proof of the same length."""

_ALLOCATOR: Final = {"_RJEM_MALLOC_CONF": "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1"}
"""Large pages, which are kept: a tenth of the time."""

_NOT_ACCEPTED: Final = 3
_POLL_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 5.0
_LAYERS: Final = ("leaf", "internal", "recursive", "last")


def find_program() -> Path:
    """The prover's program: the one that `EXCLAVE_PROVER` names, that of a checkout, or one in `PATH`.

    Raises `ProverMissing`.
    """
    if named := os.environ.get(VARIABLE):
        if not os.access(named, os.X_OK):
            raise ProverMissing(f"{VARIABLE} names {named}, which is no program")
        return Path(named)
    built = Path(exclave.__file__).resolve().parents[2] / "target" / "prover" / "release" / NAME
    if built.exists():
        return built
    if found := shutil.which(NAME):
        return Path(found)
    raise ProverMissing(
        f"there is no {NAME}: run scripts/build-prover in a checkout (about ten minutes), or name one in {VARIABLE}"
    )


class LocalProver:
    """Runs the prover's program and keeps its proofs in a directory, which several processes may share.

    So many proofs as there are slots are made at a time. A slot is a locked file; the program inherits the lock, so
    that after this process died no second one takes the memory that the first still has, and what it made is adopted.
    """

    def __init__(
        self,
        directory: Path,
        *,
        program: Path | None = None,
        segment_memory: int = SEGMENT_MEMORY,
        slots: int = 1,
    ) -> None:
        """`segment_memory`: see `SEGMENT_MEMORY`, in bytes. Raises `ProverMissing`."""
        self._directory = directory
        self._program = program or find_program()
        self._segment_memory = segment_memory
        self._slots = slots

    async def prove(self, request: ProofRequest, progress: Callable[[Progress], None] | None = None) -> Proof:
        """The proof of a request: a kept one, or a new one. Cancelling the call stops the work.

        Raises `ProverError`.
        """
        tell = progress or (lambda _: None)
        self._directory.mkdir(parents=True, exist_ok=True)
        name = request.key().hex()
        if (kept := self._kept(name, request)) is not None:
            return kept
        tell(Progress(Stage.WAITING))
        async with self._slot() as lock:
            if (kept := self._kept(name, request)) is not None:
                return kept
            bare = self._directory / f"{name}.bin"
            result = await self._adopt(bare) if bare.exists() else None
            if result is None:
                result = await self._make(name, bare, request, lock, tell)
            proof = _proof(request, bare.read_bytes(), result)
            _write(self._directory / f"{name}.proof", proof.encode())
            bare.unlink()
            return proof

    async def verify(self, proof: Proof) -> None:
        """Checks a proof as the contract does, the recoveries too. Raises `InvalidProof`, or another `ProverError`."""
        for index, recovery in enumerate(proof.recoveries):
            if _signer(recovery) != recovery.signer:
                raise InvalidProof(f"recovery {index} names another signer than ecrecover gives")
        with tempfile.TemporaryDirectory(prefix="exclave-") as directory:
            path = Path(directory) / "proof"
            path.write_bytes(proof.proof)
            result = await self._verify(path)
        if bytes.fromhex(result["program_id"][2:]) != proof.program_id or proof.program_id != PROGRAM_ID:
            raise InvalidProof("the proof is of another program than this version's guest")
        if bytes.fromhex(result["public"][2:]) != proof.statement.hash():
            raise InvalidProof("the proof is of another statement than its file says")
        if (result["head"], tuple(result["parts"])) != (proof.head, proof.parts):
            raise InvalidProof("the proof has other parts than its file says")

    # -- internals --------------------------------------------------------------------------------------------------

    def _kept(self, name: str, request: ProofRequest) -> Proof | None:
        """The proof of an earlier call; one that is damaged is made anew."""
        path = self._directory / f"{name}.proof"
        try:
            proof = Proof.decode(path.read_bytes())
            proof.check_request(request)
        except FileNotFoundError:
            return None
        except InvalidProof as error:
            log.warning("a kept proof can't be used and is made anew", path=str(path), reason=str(error))
            return None
        return proof

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[int]:
        """Waits for a slot; yields the descriptor that holds it."""
        descriptors = [
            os.open(self._directory / f"slot-{index}.lock", os.O_RDWR | os.O_CREAT, 0o644)
            for index in range(self._slots)
        ]
        try:
            while True:
                for descriptor in descriptors:
                    with contextlib.suppress(BlockingIOError):
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        yield descriptor
                        return
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    async def _adopt(self, bare: Path) -> dict[str, Any] | None:
        """What an earlier process's prover made after that one died."""
        try:
            return await self._verify(bare)
        except InvalidProof as error:
            log.warning("a proof that was left can't be used and is made anew", path=str(bare), reason=str(error))
            return None

    async def _make(
        self, name: str, bare: Path, request: ProofRequest, lock: int, tell: Callable[[Progress], None]
    ) -> dict[str, Any]:
        source = self._directory / f"{name}.input"
        _write(source, request.input)
        tell(Progress(Stage.EXECUTING))
        known: dict[str, int] = {}
        try:
            command = ["prove", "--input", str(source), "--output", str(bare)]
            command += ["--segment-memory", str(self._segment_memory >> 20)]
            async with self._running(command, keep=(lock,)) as child:
                assert child.stdout is not None
                result: dict[str, Any] = {}
                async for line in child.stdout:
                    result = json.loads(line)
                    if (found := _progress(result, known)) is not None:
                        tell(found)
                await self._check_exit(child)
                return result
        finally:
            source.unlink(missing_ok=True)

    async def _verify(self, path: Path) -> dict[str, Any]:
        async with self._running(["verify", "--proof", str(path)]) as child:
            assert child.stdout is not None
            output = await child.stdout.read()
            await self._check_exit(child)
            result: dict[str, Any] = json.loads(output)
            return result

    @contextlib.asynccontextmanager
    async def _running(
        self, command: list[str], keep: tuple[int, ...] = ()
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """The program; leaving early stops it. `keep`: descriptors that it inherits."""
        try:
            child = await asyncio.create_subprocess_exec(
                str(self._program),
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**_ALLOCATOR, **os.environ},
                pass_fds=keep,
                start_new_session=True,  # Ctrl-C is for the caller, which stops it
            )
        except OSError as error:
            raise ProverMissing(f"{self._program} can't be started: {error.strerror}") from error
        try:
            yield child
        finally:
            if child.returncode is None:
                await _stop(child)

    async def _check_exit(self, child: asyncio.subprocess.Process) -> None:
        assert child.stderr is not None
        said = (await child.stderr.read()).decode(errors="replace").strip()
        code = await child.wait()
        if code == 0:
            return
        if code == _NOT_ACCEPTED:
            raise InvalidProof(said or "the proof isn't accepted")
        if code == -signal.SIGKILL:
            raise ProverFailed("the prover was killed, by the system if memory ran out: allow it less for a segment")
        raise ProverFailed(f"the prover ended with code {code}: {said[-2000:] or 'it said nothing'}")


async def _stop(child: asyncio.subprocess.Process) -> None:
    """It looks for the signal between segments only, and nothing is lost by killing it."""
    child.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


def _proof(request: ProofRequest, content: bytes, result: Mapping[str, Any]) -> Proof:
    """The proof that the program made. Raises `InvalidProof` if it isn't the one that was asked for."""
    if bytes.fromhex(result["program_id"][2:]) != PROGRAM_ID:
        raise InvalidProof("the prover is of another version than this package: build both from one checkout")
    if bytes.fromhex(result["public"][2:]) != request.statement.hash():
        raise InvalidProof("the guest stated something else than was expected: its version isn't the engine's")
    return Proof(PROGRAM_ID, request.statement, request.recoveries, content, result["head"], tuple(result["parts"]))


def _progress(line: Mapping[str, Any], known: dict[str, int]) -> Progress | None:
    """What a line of the program's says; `known` is remembered from line to line."""
    match line.get("progress"):
        case "executed":
            known.update(instructions=line["instructions"], segments=line["segments"])
            return Progress(Stage.SEGMENTS, 0, line["segments"], **known)
        case "segment":
            return Progress(Stage.SEGMENTS, line["proven"], line["of"], **known)
        case "layer":
            return Progress(Stage.COMBINING, _LAYERS.index(line["layer"]) + 1, len(_LAYERS), **known)
        case _:
            return None


def _signer(recovery: Recovery) -> bytes:
    """As the precompile: zero where there is none."""
    r, s = int.from_bytes(recovery.r, "big"), int.from_bytes(recovery.s, "big")
    try:
        return (
            Signature(vrs=(recovery.v - 27, r, s))
            .recover_public_key_from_msg_hash(recovery.hash)
            .to_canonical_address()
        )
    except (BadSignature, ValidationError):
        return bytes(20)


def _write(path: Path, content: bytes) -> None:
    """A file that is whole or not there, also after a crash."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
