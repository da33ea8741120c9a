"""Records the inputs of the zkVM guest that are profiled and proven: `python -m benchmarks.guest_inputs [DIRECTORY]`.

Each is a real block: a transfer, an ERC-20 transfer, a light and a heavy action of a match of Holdfast between bots,
twenty transactions of that match in one block. They are the same kinds of blocks each time, not the same bytes. Beside
each input is what the guest states of it: the statement's words, and those of the recoveries.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from eth_abi.abi import encode
from holdfast.paths import TEMPLATE
from holdfast.play import play_match
from support.holdfast import CHAIN_ID, SESSION_ID, MatchHost, match_host

from benchmarks.workloads import SENDERS, Workload, token_transfer, transfer, with_benchmark_accounts
from exclave import _engine
from exclave.protocol import keccak256
from exclave.prover import ProofRequest
from exclave.prover.statement import encode_recoveries

DIRECTORY: Final = Path(__file__).parent.parent / "crates" / "emulator" / "inputs"
PROVER: Final = bytes.fromhex("00000000000000000000000000000000000000aa")
ACTIONS: Final = 20
HEAVY_GAS: Final = 400_000
PUBLIC_RECOVERIES: Final = 256
STATEMENT_BYTES: Final = 11 * 32
ATTEMPTS: Final = 20
"""Not every match has a heavy action, and a block may be sealed before all of its transactions have arrived."""

CONFIGURATION: Final = encode(
    ["uint256", "address", "uint64", "bytes32", "uint64", "uint64", "address", "bytes32"],
    [31_337, bytes(20), CHAIN_ID, keccak256(b"terms"), SESSION_ID, 0, bytes(20), keccak256(b"setup")],
)
"""A preimage of configHash (docs/protocol.md, section 3)."""


def request(engine: _engine.Engine, number: int) -> ProofRequest:
    """What the guest needs to prove block `number`, with all its signatures left to L1."""
    run = engine.guest_run(
        SESSION_ID,
        number - 1,
        number,
        configuration=CONFIGURATION,
        prover=PROVER,
        public_recoveries=PUBLIC_RECOVERIES,
    )
    return ProofRequest.from_run(run)


def recorded(name: str) -> ProofRequest:
    """A block that was recorded."""
    words = (DIRECTORY / f"{name}.statement").read_bytes()
    return ProofRequest.from_run(
        ((DIRECTORY / f"{name}.bin").read_bytes(), words[:STATEMENT_BYTES], words[STATEMENT_BYTES:])
    )


def single(workload: Workload) -> ProofRequest:
    """A block with one transaction, the second of its sender, so that what it writes to isn't empty."""

    def refuse(method: str, params: str) -> str:
        raise _engine.RpcError(-32601, f"the method {method} does not exist")

    blocks: list[_engine.Block] = []
    engine = _engine.Engine(
        persist=blocks.extend,
        wake=lambda session_id: False,
        call=refuse,
        preconfirmation_key=None,
        l1_chain_id=31_337,
        zk_relayer=bytes(20),
    )
    try:
        template = engine.add_template(with_benchmark_accounts(TEMPLATE.read_bytes()))
        engine.open_session(
            SESSION_ID, CHAIN_ID, template.state_root, keccak256(CONFIGURATION), keccak256(b"seed"), 1_700_000_000, None
        )
        engine.activate(SESSION_ID)
        for nonce in range(2):
            engine.submit(SESSION_ID, [workload(SENDERS[0], CHAIN_ID, nonce, 0)])
        assert [len(block.transactions) for block in blocks] == [1, 1], "each transaction has its block"
        return request(engine, 2)
    finally:
        engine.shutdown()


async def played(host: MatchHost, seed: int) -> None:
    async for _ in play_match(host.url, host.players, seed=seed):
        pass


def match(seed: int) -> tuple[dict[str, ProofRequest], list[bytes]] | None:
    """Blocks of a match, and its first transactions but init; None if no action was heavy (a keep fell)."""
    with match_host(configuration=CONFIGURATION) as host:
        asyncio.run(played(host, seed))
        actions = sorted(
            (block for block in host.blocks[1:] if len(block.transactions) == 1), key=lambda block: block.gas_used
        )
        light = next(block for block in actions if block.gas_used > 100_000)
        heavy = min(actions, key=lambda block: abs(block.gas_used - HEAVY_GAS))
        if abs(heavy.gas_used - HEAVY_GAS) > HEAVY_GAS // 4:
            return None
        print(f"light action {light.gas_used} gas, heavy action {heavy.gas_used} gas, match of {len(actions)} actions")
        blocks = {"light_action": light, "heavy_action": heavy}
        raws: list[bytes] = []
        for block in host.blocks[1:]:
            raws.extend(_engine.split_rlp_strings(block.encoded_transactions))
        return {name: request(host.engine, block.number) for name, block in blocks.items()}, raws[:ACTIONS]


def block_of(raws: list[bytes]) -> ProofRequest:
    """One block with these transactions, which start a match."""
    for _ in range(ATTEMPTS):
        with match_host(configuration=CONFIGURATION) as host:
            host.engine.submit(SESSION_ID, raws)
            for block in host.blocks:
                if len(block.transactions) == len(raws):
                    print(f"block of {len(raws)} actions: {block.gas_used} gas")
                    return request(host.engine, block.number)
    raise RuntimeError("the transactions never came into one block")


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else DIRECTORY
    directory.mkdir(parents=True, exist_ok=True)
    requests = {"transfer": single(transfer), "erc20": single(token_transfer)}
    found = next((found for seed in range(ATTEMPTS) if (found := match(seed)) is not None), None)
    if found is None:
        raise RuntimeError("no match had a heavy action")
    actions, raws = found
    requests |= actions
    requests["block_20"] = block_of(raws)
    for name, made in requests.items():
        (directory / f"{name}.bin").write_bytes(made.input)
        words = made.statement.encode() + encode_recoveries(made.recoveries)
        (directory / f"{name}.statement").write_bytes(words)
        print(f"{name}: {len(made.input)} bytes, {len(made.recoveries)} recoveries")


if __name__ == "__main__":
    main()
