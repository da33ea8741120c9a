"""An L1 with Exclave's contracts and a session game: what the node's tests start from."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import decode, encode
from eth_account import Account
from eth_account.signers.local import LocalAccount

from exclave import _engine, contracts
from exclave.coordinator.calls import encode_claim
from exclave.node.templates import build_base_template
from exclave.protocol import (
    DataMode,
    SessionConfig,
    Terms,
    claim_digest,
    keccak256,
    players_hash,
    session_chain_id,
    session_result_digest,
    sign_digest,
)
from exclave.protocol.constants import PREDEPLOY, ZERO_ADDRESS, ZERO_HASH
from exclave.protocol.session import SESSION_CONFIG_ABI
from exclave.protocol.terms import TERMS_ABI
from exclave.store import Session
from support.anvil import Anvil, account

ADMIN = 9
"""Index of the anvil account that deploys and opens."""

OPERATOR_KEY = keccak256(b"operator of the tests")
GAME_DEPLOYER: LocalAccount = Account.from_key(keccak256(b"deployer of the game"))
PLAYERS: list[LocalAccount] = [Account.from_key(keccak256(b"player %d" % index)) for index in range(4)]


def raw_address(holder: LocalAccount) -> bytes:
    return bytes.fromhex(holder.address[2:])


def call_data(signature: str, *values: Any) -> bytes:
    """Calldata of a function given by its signature, such as `f((uint8,bytes),address)`."""
    name, _, rest = signature.partition("(")
    del name
    types = _split(rest[:-1])
    return keccak256(signature.encode())[:4] + encode(types, list(values))


def _split(types: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for character in types:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current] if current else parts


def signed_call(
    sender: LocalAccount, chain_id: int, nonce: int, to: bytes | None, data: bytes, gas: int = 3_000_000
) -> bytes:
    """A free transaction of a session."""
    transaction = {
        "type": 2,
        "chainId": chain_id,
        "nonce": nonce,
        "maxFeePerGas": 0,
        "maxPriorityFeePerGas": 0,
        "gas": gas,
        "value": 0,
        "data": data,
    }
    if to is not None:
        transaction["to"] = to
    return bytes(sender.sign_transaction(transaction).raw_transaction)


@dataclass(frozen=True)
class GameTemplate:
    """CounterGame, bound in a template."""

    data: bytes
    template_id: bytes
    state_root: bytes
    data_hash: bytes
    game: bytes


def build_game_template(deployer_key: bytes | None = None) -> GameTemplate:
    """Deploys CounterGame in a local session of an engine of its own, as a developer would through JSON-RPC."""
    deployer: LocalAccount = Account.from_key(deployer_key) if deployer_key else GAME_DEPLOYER
    engine = _engine.Engine(
        persist=lambda blocks: None,
        wake=lambda session_id: False,
        call=lambda method, params: "null",
        preconfirmation_key=OPERATOR_KEY,
        l1_chain_id=31337,
        zk_relayer=bytes(20),
    )
    try:
        base = engine.add_template(build_base_template())
        session_id, chain_id = 2**31, 2**31
        engine.open_session(session_id, chain_id, base.state_root, ZERO_HASH, ZERO_HASH, int(time.time()), None)
        engine.activate(session_id)
        code = contracts.load("CounterGame").bytecode
        engine.submit(session_id, [signed_call(deployer, chain_id, 0, None, code)])
        game = keccak256(_rlp_pair(raw_address(deployer), 0))[12:]
        bind = call_data("bindGame(address)", game)
        engine.submit(session_id, [signed_call(deployer, chain_id, 1, PREDEPLOY, bind)])
        data = engine.export_template(session_id)
        added = engine.add_template(data)
        return GameTemplate(data, added.template_id, added.state_root, added.data_hash, game)
    finally:
        engine.shutdown()


def _rlp_pair(address: bytes, nonce: int) -> bytes:
    import rlp

    return bytes(rlp.encode([address, nonce]))


@dataclass
class World:
    """Deployed contracts on an anvil."""

    anvil: Anvil
    zk_relayer: bytes
    lobby: bytes
    template: GameTemplate
    operator: bytes
    deployed_in: int
    nonces: dict[tuple[int, bytes], int] = field(default_factory=dict)

    @classmethod
    def create(cls, anvil: Anvil, template: GameTemplate, operator: bytes, min_window: int = 1) -> World:
        """Deploys ZkRelayer and CounterLobby, and registers the template."""
        deployed_in = anvil.block_number() + 1
        relayer = contracts.load("ZkRelayer").bytecode + encode(["uint32"], [min_window])
        zk_relayer = anvil.deploy("0x" + relayer.hex(), ADMIN)
        lobby = anvil.deploy(
            "0x" + (contracts.load("CounterLobby").bytecode + encode(["address"], [zk_relayer])).hex(), ADMIN
        )
        world = cls(anvil, bytes.fromhex(zk_relayer[2:]), bytes.fromhex(lobby[2:]), template, operator, deployed_in)
        world.register_template()
        return world

    def register_template(self) -> None:
        """Makes the template known to L1."""
        template = self.template
        self.send(
            self.zk_relayer,
            call_data("registerTemplate(bytes32,bytes32,string)", template.state_root, template.data_hash, ""),
        )

    # -- L1 ---------------------------------------------------------------------------------------------------------

    def send(self, to: bytes, data: bytes, sender: int = ADMIN, value: int = 0) -> dict[str, Any]:
        """A transaction of an anvil account, mined; fails the test when it reverts."""
        hash_ = self.anvil.rpc(
            "eth_sendTransaction",
            {
                "from": account(sender).address,
                "to": "0x" + to.hex(),
                "data": "0x" + data.hex(),
                "gas": hex(10_000_000),
                "value": hex(value),
            },
        )
        return self._mined(hash_)

    def _mined(self, hash_: str) -> dict[str, Any]:
        """The receipt of a transaction that anvil mines at once, but not before it answers."""
        for _ in range(500):
            receipt: dict[str, Any] | None = self.anvil.rpc("eth_getTransactionReceipt", hash_)
            if receipt is not None:
                assert receipt["status"] == "0x1", receipt
                return receipt
            time.sleep(0.01)
        raise AssertionError(f"{hash_} was not mined")

    def view(self, to: bytes, signature: str, types: list[str], *values: Any) -> Any:
        """The first returned value of a view function."""
        answer = self.anvil.rpc(
            "eth_call", {"to": "0x" + to.hex(), "data": "0x" + call_data(signature, *values).hex()}, "latest"
        )
        return decode(types, bytes.fromhex(answer[2:]))[0]

    def now(self) -> int:
        return int(self.anvil.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def pass_time(self, seconds: int) -> None:
        """Let L1 seconds go by, and mine a block."""
        self.anvil.rpc("evm_increaseTime", hex(seconds))
        self.anvil.mine()

    def terms(self, data_mode: DataMode = DataMode.CALLDATA, **changes: Any) -> Terms:
        values: dict[str, Any] = {
            "operator": self.operator,
            "dispute_game": ZERO_ADDRESS,
            "verifier": ZERO_ADDRESS,
            "program_id": ZERO_HASH,
            "claim_bond": 10**15,
            "challenge_window": 60,
            "inclusion_delay": 600,
            "abort_delay": 2 * 3600,
            "callback_gas": 200_000,
            "data_mode": data_mode,
            **changes,
        }
        return Terms(**values)

    def register_terms(self, terms: Terms, template_id: bytes) -> None:
        """Once for each template, as a game's deployment does."""
        known = self.view(self.zk_relayer, "termsRegistered(bytes32,bytes32)", ["bool"], template_id, terms.hash())
        if not known:
            if terms.dispute_game != ZERO_ADDRESS:
                self._accept_terms(terms.dispute_game)
            data = call_data(f"registerTerms(bytes32,{TERMS_ABI})", template_id, terms.as_abi_tuple())
            self.send(self.zk_relayer, data)

    def _accept_terms(self, dispute_game: bytes) -> None:
        """A dispute contract is asked when terms are registered: where there is none, one that takes all."""
        address = "0x" + dispute_game.hex()
        if self.anvil.rpc("eth_getCode", address, "latest") == "0x":
            self.anvil.rpc("anvil_setCode", address, "0x00")

    def open_session(
        self,
        *,
        target: int = 3,
        terms: Terms | None = None,
        duration: int = 3600,
        template_id: bytes | None = None,
        players: list[LocalAccount] | None = None,
        mine: int = 1,
    ) -> int:
        """Opens a session through the lobby and mines the block that its seed comes from; returns its id."""
        terms = terms or self.terms()
        template_id = template_id or self.template.template_id
        self.register_terms(terms, template_id)
        self.send(self.lobby, self.opening(target, terms, template_id, players or PLAYERS[:2], duration))
        self.anvil.mine(mine)
        return int(self.view(self.zk_relayer, "lastSessionId()", ["uint64"]))

    def opening(
        self, target: int, terms: Terms, template_id: bytes, players: list[LocalAccount], duration: int = 3600
    ) -> bytes:
        """Calldata of the lobby's `open`."""
        return call_data(
            "open(bytes32,bytes32,address[],bytes,uint64)",
            template_id,
            terms.hash(),
            [raw_address(player) for player in players],
            encode(["uint256"], [target]),
            max(self.now(), int(time.time())) + duration,
        )

    def status(self, session_id: int) -> int:
        """0 none, 1 open, 2 settled, 3 aborted."""
        return int(self.view(self.zk_relayer, "sessionStatus(uint64)", ["uint8"], session_id))

    def callbacks(self, session_id: int) -> int:
        return int(self.view(self.lobby, "callbacks(uint64)", ["uint256"], session_id))

    def result_on_l1(self, session_id: int) -> bytes:
        return bytes(self.view(self.lobby, "resultOf(uint64)", ["bytes"], session_id))

    def claims_on_l1(self) -> int:
        return int(self.view(self.zk_relayer, "lastClaimId()", ["uint64"]))

    def claim(self, root: bytes, sender: int, *, count: int = 1, terms: Terms | None = None) -> None:
        """A claim by an anvil account, to which the operator consents."""
        terms = terms or self.terms()
        claimant = raw_address(account(sender))
        digest = claim_digest(31337, self.zk_relayer, claimant, root, count, terms.hash())
        consent = sign_digest(digest, OPERATOR_KEY)
        self.send(self.zk_relayer, encode_claim(root, count, terms, bytes(32), b"data", consent), sender, 10**18)

    def force(self, config: SessionConfig, to: bytes, data: bytes, sender: LocalAccount, gas: int = 300_000) -> None:
        """`forceTransaction` by a player, in a session of the usual terms."""
        terms = self.terms()
        assert config.terms_hash == terms.hash()
        self.anvil.set_balance(sender.address, 10**18)
        players = [raw_address(player) for player in PLAYERS[:2]]
        assert config.players_hash == players_hash(players)
        payload = call_data(
            f"forceTransaction({SESSION_CONFIG_ABI},{TERMS_ABI},address[],address,uint64,bytes)",
            config.as_abi_tuple(),
            terms.as_abi_tuple(),
            players,
            to,
            gas,
            data,
        )
        transaction = {
            "type": 2,
            "chainId": 31337,
            "nonce": self.anvil.nonce(sender.address),
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
            "gas": 1_000_000,
            "value": 0,
            "to": self.zk_relayer,
            "data": payload,
        }
        raw = sender.sign_transaction(transaction).raw_transaction
        hash_ = self.anvil.rpc("eth_sendRawTransaction", "0x" + bytes(raw).hex())
        self._mined(hash_)

    def settle_unanimously(self, session: Session, result: bytes) -> None:
        """All players sign the result."""
        config = session.configuration()
        valid_until = self.now() + 3600
        digest = session_result_digest(31337, self.zk_relayer, session.config_hash, keccak256(result), valid_until)
        by_address = {raw_address(player): bytes(player.key) for player in PLAYERS}
        payload = call_data(
            f"settleUnanimously({SESSION_CONFIG_ABI},{TERMS_ABI},address[],bytes,uint64,bytes[])",
            config.as_abi_tuple(),
            Terms.decode(session.terms).as_abi_tuple(),
            list(session.players),
            result,
            valid_until,
            [sign_digest(digest, by_address[player]) for player in session.players],
        )
        self.send(self.zk_relayer, payload)

    def abort(self, session: Session) -> None:
        """Give a session up, once L1 lets one: its stakes go back."""
        config, terms = session.configuration(), Terms.decode(session.terms)
        self.pass_time(max(config.deadline + terms.abort_delay - self.now(), 0) + 1)
        data = call_data(f"abort({SESSION_CONFIG_ABI},{TERMS_ABI})", config.as_abi_tuple(), terms.as_abi_tuple())
        self.send(self.zk_relayer, data)

    # -- sessions ---------------------------------------------------------------------------------------------------

    def chain_id(self, session_id: int) -> int:
        return session_chain_id(31337, self.zk_relayer, session_id)

    def increment(self, session_id: int, player: LocalAccount, nonce: int, by: int = 1) -> bytes:
        """A signed move."""
        data = call_data("increment(uint256)", by)
        return signed_call(player, self.chain_id(session_id), nonce, self.template.game, data)
