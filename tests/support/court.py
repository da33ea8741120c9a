"""A dispute contract on a test's L1, sessions under it, and claims about them, honest and other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exclave.challenger.execution import Chain, Executor
from exclave.coordinator.calls import encode_claim
from exclave.dispute.payloads import DisputeRules, LeafName, encode_dispute_game
from exclave.l1.values import read_header, read_log
from exclave.protocol import (
    BlockData,
    ClaimHeader,
    DataMode,
    SessionClaim,
    SessionData,
    Terms,
    block_hashes_root,
    encode_batch_data,
    init_message,
    keccak256,
    merkle_root,
)
from exclave.protocol.constants import ZERO_HASH
from exclave.relayer.events import ClaimPosted, EventReader
from exclave.store import Session, Store
from support.engine import assemble
from support.world import PLAYERS, World

CLAIMANT = 6
"""Index of the anvil account that claims."""

CHALLENGER = 7
"""Index of the anvil account that the watchtower acts with."""

RULES = DisputeRules(
    gas_price=10**9,
    proving_cost=10**15,
    challenge_bond=5 * 10**16,
    operator_stake=10**17,
    burnt_share=5000,
    proof_window=120,
    answer_window=60,
    response_time=60,
    stake_delay=8 * 24 * 3600,
)
CLAIM_BOND = 10**16
WINDOW = 120

ACCEPTING_VERIFIER = assemble(
    # proofs() answers the contract's own address (0x30 is ADDRESS, 0xf3 RETURN), says yes to all else
    "PUSH0 CALLDATALOAD PUSH1 e0 SHR PUSH4 {selector} EQ @proofs JUMPI "
    "PUSH1 01 PUSH0 MSTORE PUSH1 20 PUSH0 f3 "
    ":proofs 30 PUSH0 MSTORE PUSH1 20 PUSH0 f3".format(selector=keccak256(b"proofs()")[:4].hex())
)


def creation_of(runtime: bytes) -> str:
    """Creation code of a contract with this runtime code."""
    size = len(runtime)
    prefix = bytes.fromhex(f"61{size:04x}80600a5f395ff3")
    assert len(prefix) == 10
    return "0x" + (prefix + runtime).hex()


@dataclass
class Court:
    """The dispute contract with a verifier that accepts everything: what proofs say is the test's own affair."""

    world: World
    game: bytes
    verifier: bytes

    @classmethod
    def create(cls, world: World) -> Court:
        """Deploys both."""
        verifier = world.anvil.deploy(creation_of(ACCEPTING_VERIFIER))
        game = world.anvil.deploy("0x" + encode_dispute_game(world.zk_relayer, RULES).hex())
        return cls(world, bytes.fromhex(game[2:]), bytes.fromhex(verifier[2:]))

    def terms(self, mode: DataMode = DataMode.CALLDATA, **changes: Any) -> Terms:
        values: dict[str, Any] = {
            "dispute_game": self.game,
            "verifier": self.verifier,
            "claim_bond": CLAIM_BOND,
            "challenge_window": WINDOW,
            **changes,
        }
        return self.world.terms(mode, **values)

    def open(self, target: int = 3, terms: Terms | None = None) -> int:
        return self.world.open_session(target=target, terms=terms or self.terms())

    def deposit(self, contract: bytes, account: bytes) -> tuple[int, int]:
        """What an account can withdraw from a contract, and what is locked, in wei."""
        available = self.world.view(contract, "bondAccount(address)", ["uint256", "uint256"], account)
        answer = self.world.anvil.rpc(
            "eth_call",
            {
                "to": "0x" + contract.hex(),
                "data": "0x" + (keccak256(b"bondAccount(address)")[:4] + bytes(12) + account).hex(),
            },
            "latest",
        )
        return available, int(answer[66:130], 16)

    def stakes(self) -> bytes:
        return bytes.fromhex(self.world.view(self.game, "stakes()", ["address"])[2:])

    def post(
        self,
        leaves: Sequence[SessionClaim],
        data: bytes,
        terms: Terms | None = None,
        *,
        root: bytes | None = None,
        sender: int = CLAIMANT,
    ) -> Posted:
        """A claim of these leaves, or of another root, with this data."""
        terms = terms or self.terms()
        root = root or merkle_root([leaf.leaf() for leaf in leaves])
        on_demand = terms.data_mode is DataMode.ON_DEMAND
        call = encode_claim(
            root,
            len(leaves),
            terms,
            keccak256(data) if on_demand else ZERO_HASH,
            b"" if on_demand else data,
            b"",
        )
        receipt = self.world.send(self.world.zk_relayer, call, sender, CLAIM_BOND * len(leaves))
        return self._posted(receipt, tuple(leaves))

    def _posted(self, receipt: dict[str, Any], leaves: tuple[SessionClaim, ...]) -> Posted:
        block = self.world.anvil.rpc("eth_getBlockByNumber", receipt["blockNumber"], False)
        reader = EventReader(self.world.zk_relayer, 31337)
        events = [reader.read(read_log(entry), read_header(block)) for entry in receipt["logs"]]
        event = next(event for event in events if isinstance(event, ClaimPosted))
        return Posted(event.claim_id, event.header, leaves)


@dataclass(frozen=True)
class Posted:
    """A claim on L1."""

    claim_id: int
    header: ClaimHeader
    leaves: tuple[SessionClaim, ...]

    def name(self, index: int = 0) -> LeafName:
        return LeafName(self.claim_id, index, self.header)


class Operator:
    """Plays sessions in an engine of its own, block by block, and describes them as claims do."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._executor = Executor(store, 31337, world.zk_relayer)
        self._executor.add_template(world.template.data)

    def stop(self) -> None:
        self._executor.shutdown()

    def play(self, session: Session, moves: Sequence[int], *, player: int = 0, until: int | None = None) -> Chain:
        """Block 1 has the init message and the first move; each further move is a block of its own."""
        assert session.seed is not None
        init = init_message(
            session.chain_id,
            session.config_hash,
            session.session_id,
            session.deadline,
            session.seed,
            session.players,
            session.init_data,
        ).encode_transaction()
        calls = [
            self._world.increment(session.session_id, PLAYERS[player], nonce, by) for nonce, by in enumerate(moves)
        ]
        time = session.opened_at
        blocks = [BlockData(time, (init,)), *(BlockData(time, (call,)) for call in calls)]
        return self._executor.extend(self._executor.begin(session), blocks[:until])


def data_of(*chains: Chain, first: int = 0) -> bytes:
    """The data of a claim of whole sessions, or from a block on."""
    return encode_batch_data([session_data(chain, first) for chain in chains])


def session_data(chain: Chain, first: int = 0) -> SessionData:
    blocks = tuple(BlockData(block.timestamp, block.transactions) for block in chain.blocks[first:])
    return SessionData(chain.session.session_id, first, blocks)


def whole(chain: Chain) -> SessionClaim:
    """The honest claim of a session."""
    return chain.claim(0, chain.last_number)


def forged_hashes(chain: Chain, at: int, value: bytes | None = None) -> tuple[SessionClaim, list[bytes]]:
    """A claim in which one block's hash is another, and all hashes of it."""
    hashes = chain.hashes(0, chain.last_number)
    hashes[at] = value or keccak256(b"forged %d" % at)
    claim = whole(chain)
    return dataclasses.replace(claim, block_hashes_root=block_hashes_root(hashes), last_hash=hashes[-1]), hashes


def continued(chain: Chain) -> tuple[SessionClaim, list[bytes]]:
    """A claim that goes on with a block of nothing after the session's end, and all hashes of it."""
    hashes = [*chain.hashes(0, chain.last_number), keccak256(b"more")]
    root = block_hashes_root(hashes)
    last = len(hashes) - 1
    return dataclasses.replace(whole(chain), last_number=last, last_hash=hashes[-1], block_hashes_root=root), hashes
