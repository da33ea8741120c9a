"""`exclave prove` and `exclave verify`: a proof of a session's blocks, checked here or on L1."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exclave.cli.addresses import read_address
from exclave.cli.config import ConfigPath
from exclave.cli.keys import KeyVariable, PasswordFile, key_source
from exclave.cli.output import err, ether, fail, out, print_json, print_record, print_table
from exclave.cli.rpc import Json
from exclave.config import KeySource, load_config
from exclave.rpc.client import RpcClient
from exclave.store import Store

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    from exclave.l1.values import L1Receipt
    from exclave.prover import Progress, Proof

    T = TypeVar("T")

ProofFile = Annotated[Path, typer.Argument(help="A file that `exclave prove` wrote.", exists=True, dir_okay=False)]
SegmentMemory = Annotated[
    int,
    typer.Option(
        min=1024,
        max=65_536,
        help="MiB that the proof of one segment may take, by an estimate which is nearly twice what it takes.",
    ),
]


def prove(
    session_id: Annotated[int, typer.Argument(min=1, help="The session's id.", metavar="SESSION")],
    block: Annotated[int | None, typer.Option(min=1, help="The block to prove. Default: the last one.")] = None,
    first: Annotated[
        int | None, typer.Option("--from", min=1, help="Prove a range of blocks: from this one to --block.")
    ] = None,
    recipient: Annotated[
        str,
        typer.Option(
            help="Who gets what the proof earns on L1; the proof is worth nothing to others.", metavar="ADDRESS"
        ),
    ] = "0x" + "00" * 20,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The proof's file. Default: session-S-block-B.proof.")
    ] = None,
    segment_memory: SegmentMemory = 9216,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Prove that blocks of a session follow the rules, from the database of the configuration.

    It takes minutes and gigabytes: 5 GB for a transfer, 16 GB for a heavy action. What was proven once is kept in
    node.data_dir and isn't proven again. Ctrl-C stops it.
    """
    from exclave.prover import LocalProver, ProverError
    from exclave.prover.replay import prepare

    loaded = load_config(config)
    relayer = bytes.fromhex(loaded.l1.zk_relayer.removeprefix("0x"))
    try:
        prover = LocalProver(loaded.node.data_dir / "proofs", segment_memory=segment_memory << 20)
        with Store(loaded.database_url) as store:
            store.check_version()
            last = block or _last_block(store, session_id)
            request = prepare(
                store,
                session_id,
                first or last,
                last,
                l1_chain_id=loaded.l1.chain_id,
                zk_relayer=relayer,
                prover=read_address(recipient),
            )
        began = time.monotonic()
        proof = run_interruptibly(prover.prove(request, Watch()))
    except ProverError as error:
        fail(str(error))
    path = output or Path(f"session-{session_id}-block-{last}.proof")
    try:
        path.write_bytes(proof.encode())
    except OSError as error:
        fail(f"can't write {path}: {error.strerror}")
    err.print(f"Wrote {path} after {time.monotonic() - began:.0f} s.", markup=False, highlight=False)
    show_proof(proof, json)


def verify(
    file: ProofFile,
    l1: Annotated[
        str | None,
        typer.Option(help="Have it verified on this L1, by its JSON-RPC.", metavar="URL", envvar="EXCLAVE_L1_URL"),
    ] = None,
    verifier: Annotated[
        str | None, typer.Option(help="ZkVerifier's address on the L1. Without it one is deployed.", metavar="ADDRESS")
    ] = None,
    keystore: Annotated[Path | None, typer.Option(help="Encrypted key file of the account that pays on L1.")] = None,
    password_file: PasswordFile = None,
    key_variable: KeyVariable = "EXCLAVE_DEVELOPER_KEY",
    json: Json = False,
) -> None:
    """Verify a proof: here, or on L1 by two transactions (with --l1), whose gas is shown."""
    from exclave.l1.errors import L1Error
    from exclave.l1.single import TransactionFailed
    from exclave.node.supervisor import FatalError
    from exclave.prover import LocalProver, Proof, ProverError

    try:
        proof = Proof.decode(file.read_bytes())
        if l1 is None:
            run_interruptibly(LocalProver(Path()).verify(proof))
            err.print("The proof is valid.")
            show_proof(proof, json)
            return
        source = key_source(keystore, password_file, key_variable)
        address, deployment, receipts = run_interruptibly(
            _verify_on_l1(l1, source, None if verifier is None else read_address(verifier), proof)
        )
    except (ProverError, L1Error, TransactionFailed, FatalError) as error:
        fail(str(error))
    err.print("The contract on L1 accepts the proof." if receipts else "The contract on L1 had accepted it before.")
    if json:
        print_json(
            {
                "verifier": "0x" + address.hex(),
                "deploymentGas": deployment,
                "transactions": [
                    {"hash": "0x" + receipt.transaction_hash.hex(), "gasUsed": receipt.gas_used} for receipt in receipts
                ],
                "gasUsed": sum(receipt.gas_used for receipt in receipts),
            }
        )
        return
    show_receipts(receipts)
    out.print(f"ZkVerifier 0x{address.hex()}", markup=False, highlight=False, soft_wrap=True)
    if deployment:
        out.print(f"It was deployed for this, with {deployment:,} gas.", highlight=False)


async def _verify_on_l1(
    url: str, source: KeySource, verifier: bytes | None, proof: Proof
) -> tuple[bytes, int, list[L1Receipt]]:
    """The verifier's address, the gas of its deployment, and the receipts of the verification."""
    from exclave.l1.client import L1Client
    from exclave.l1.signers import LocalSigner
    from exclave.l1.single import send
    from exclave.node.keys import load_key
    from exclave.prover.onchain import deploy_verifier, verify_onchain

    chain_id = int(await asyncio.to_thread(RpcClient(url).call, "eth_chainId"), 16)
    signer = LocalSigner(await load_key(source, "developer's account", chain_id))
    async with L1Client([url], chain_id) as client:

        async def transact(label: str, to: bytes | None, data: bytes) -> L1Receipt:
            err.print(f"  {label}", markup=False, highlight=False)
            return await send(client, signer, to, data)

        gas = 0
        if verifier is None:
            deployed = await deploy_verifier(transact)
            verifier, gas = deployed.zk_verifier, deployed.gas
        return verifier, gas, await verify_onchain(client, transact, signer.address, verifier, proof)


class Watch:
    """Shows how the making of a proof goes on, a line for each step, with the seconds since the first."""

    def __init__(self) -> None:
        self._began: float | None = None

    def __call__(self, progress: Progress) -> None:
        if self._began is None:
            self._began = time.monotonic()
        err.print(f"{time.monotonic() - self._began:7.1f} s  {describe(progress)}", markup=False, highlight=False)


def describe(progress: Progress) -> str:
    """A step in a few words."""
    from exclave.prover import Stage

    match progress.stage:
        case Stage.WAITING:
            return "waiting for a turn"
        case Stage.EXECUTING:
            return "preparing the circuits, executing"
        case Stage.SEGMENTS if progress.done == 0:
            return f"executed: {progress.instructions:,} instructions, {progress.segments} segment(s) to prove"
        case Stage.SEGMENTS:
            return f"segment {progress.done} of {progress.total} proven"
        case _:
            return f"combined into one proof: step {progress.done} of {progress.total}"


def show_proof(proof: Proof, json: bool) -> None:
    """What a proof says."""
    statement = proof.statement
    fields = {
        "verdict": statement.verdict.name.lower(),
        "configHash": "0x" + statement.config_hash.hex(),
        "fromHash": "0x" + statement.from_hash.hex(),
        "toHash": "0x" + statement.to_hash.hex(),
        "toNumber": statement.to_number,
        "toTimestamp": statement.to_timestamp,
        "resultHash": "0x" + statement.result_hash.hex(),
        "inboxHash": "0x" + statement.inbox_hash.hex(),
        "recoveries": len(proof.recoveries),
        "recoveriesHash": "0x" + statement.recoveries_hash.hex(),
        "recipient": "0x" + statement.prover.hex(),
        "statement": "0x" + statement.hash().hex(),
        "programId": "0x" + proof.program_id.hex(),
        "proofBytes": len(proof.proof),
    }
    if json:
        print_json(fields)
    else:
        print_record("Proof", fields.items())


def show_receipts(receipts: list[L1Receipt]) -> None:
    """The transactions of a verification."""
    print_table(
        "Verification on L1",
        ["Transaction", "Gas", "Fee"],
        [
            (
                "0x" + receipt.transaction_hash.hex(),
                f"{receipt.gas_used:,}",
                ether(receipt.gas_used * receipt.effective_gas_price, 9),
            )
            for receipt in receipts
        ],
    )
    if receipts:
        out.print(f"{sum(receipt.gas_used for receipt in receipts):,} gas in all.", highlight=False)


def run_interruptibly(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work`; SIGINT and SIGTERM cancel it, and end the program with code 130 once it has cleaned up."""

    async def watched() -> T:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await task

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        err.print("Interrupted.")
        raise typer.Exit(130) from None


def _last_block(store: Store, session_id: int) -> int:
    head = store.blocks.head(session_id)
    if head is None:
        fail(f"session {session_id} has no block in this database")
    return head.number
