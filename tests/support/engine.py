"""The extension with the smallest real host: sessions and blocks in one SQLite database, woken from there."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from eth_account import Account

from exclave import _engine
from exclave.protocol import GenesisAccount, Message, TemplateAccount, encode_template, keccak256
from exclave.protocol.constants import PREDEPLOY, SYSTEM_ADDRESS

L1_CHAIN_ID = 31337
ZK_RELAYER = bytes.fromhex("5fbdb2315678afecb367f032d93f642f64180aa3")
OPERATOR_KEY = keccak256(b"operator")
CHAIN_ID_BASE = 0x5_0000_0000
OPENED_AT = 1_700_000_000

PLAYERS = [Account.from_key(keccak256(b"player%d" % index)) for index in range(60)]
PAUPER = Account.from_key(keccak256(b"pauper"))
RECIPIENT = bytes.fromhex("00000000000000000000000000000000000000a1")
COUNTER = bytes.fromhex("00000000000000000000000000000000000000c1")
LOOP = bytes.fromhex("00000000000000000000000000000000000000c2")
LOG_FLOOD = bytes.fromhex("00000000000000000000000000000000000000c3")
SELF_DESTRUCT = bytes.fromhex("00000000000000000000000000000000000000c4")

SESSION_ENDED_TOPIC = keccak256(b"SessionEnded(bytes)")
END_SELECTOR = keccak256(b"endSession(bytes)")[:4]

OPCODES = {
    "STOP": 0x00, "ADD": 0x01, "SUB": 0x03, "GT": 0x11, "EQ": 0x14, "SHR": 0x1C, "KECCAK256": 0x20, "CALLER": 0x33,
    "CALLDATALOAD": 0x35, "CALLDATASIZE": 0x36, "CALLDATACOPY": 0x37, "SELFBALANCE": 0x47, "POP": 0x50, "MLOAD": 0x51,
    "MSTORE": 0x52, "SLOAD": 0x54, "SSTORE": 0x55, "JUMP": 0x56, "JUMPI": 0x57, "GAS": 0x5A, "JUMPDEST": 0x5B,
    "PUSH0": 0x5F, "PUSH1": 0x60, "PUSH2": 0x61, "PUSH3": 0x62, "PUSH4": 0x63, "PUSH32": 0x7F, "DUP1": 0x80,
    "SWAP1": 0x90, "LOG0": 0xA0, "LOG1": 0xA1, "CREATE": 0xF0, "SELFDESTRUCT": 0xFF,
}  # fmt: skip


def assemble(source: str) -> bytes:
    """Code of mnemonics and hexadecimal immediates; `:end` marks a JUMPDEST and `@end` pushes its position."""
    code, labels, uses = bytearray(), {}, []
    for word in source.split():
        if word.startswith(":"):
            labels[word[1:]] = len(code)
            code.append(OPCODES["JUMPDEST"])
        elif word.startswith("@"):
            code += bytes([OPCODES["PUSH1"], 0])
            uses.append((len(code) - 1, word[1:]))
        elif word in OPCODES:
            code.append(OPCODES[word])
        else:
            code += bytes.fromhex(word)
    for position, label in uses:
        code[position] = labels[label]
    return bytes(code)


# endSession(bytes) as docs/protocol.md 6 has it, but for anyone; any other call counts in slot 1.
PREDEPLOY_CODE = assemble(
    f"""
    PUSH0 CALLDATALOAD PUSH1 e0 SHR PUSH4 {END_SELECTOR.hex()} EQ @end JUMPI
    PUSH1 01 SLOAD PUSH1 01 ADD PUSH1 01 SSTORE STOP
    :end PUSH1 04 CALLDATASIZE SUB DUP1 PUSH1 04 PUSH0 CALLDATACOPY
    PUSH32 {SESSION_ENDED_TOPIC.hex()} SWAP1 PUSH0 LOG1
    PUSH1 20 MLOAD PUSH1 40 KECCAK256 PUSH0 SSTORE STOP
    """
)

# Logs of 16 KB as long as there is gas for another one.
LOG_FLOOD_CODE = assemble(":again PUSH2 4000 PUSH0 LOG0 PUSH3 030d40 GAS GT @again JUMPI STOP")
# Contracts that destroy themselves while they are created (CALLER SELFDESTRUCT), as long as there is gas: they exist
# within the transaction only (EIP-6780), and give back the wei that they got.
SELF_DESTRUCT_CODE = assemble(
    """
    PUSH2 33ff PUSH0 MSTORE
    :again PUSH1 02 PUSH1 1e SELFBALANCE CREATE POP PUSH3 030d40 GAS GT @again JUMPI STOP
    """
)

TEMPLATE = encode_template(
    map(
        TemplateAccount.from_account,
        [
            GenesisAccount(PREDEPLOY, nonce=1, code=PREDEPLOY_CODE),
            GenesisAccount(
                COUNTER,
                nonce=1,
                code=assemble("PUSH0 SLOAD PUSH1 01 ADD DUP1 PUSH0 SSTORE PUSH0 MSTORE PUSH1 20 PUSH0 LOG0 STOP"),
            ),
            GenesisAccount(LOOP, nonce=1, code=assemble(":again @again JUMP")),
            GenesisAccount(LOG_FLOOD, nonce=1, code=LOG_FLOOD_CODE),
            GenesisAccount(SELF_DESTRUCT, nonce=1, balance=7, code=SELF_DESTRUCT_CODE),
            *(GenesisAccount(bytes.fromhex(player.address[2:]), balance=10**18) for player in PLAYERS),
        ],
    )
)


def chain_id(session_id: int) -> int:
    return CHAIN_ID_BASE + session_id


def address(account: Any) -> bytes:
    return bytes.fromhex(account.address[2:])


def init_transaction(session_id: int) -> bytes:
    return Message(chain_id(session_id), 0, SYSTEM_ADDRESS, PREDEPLOY, 10_000_000, 0, b"init").encode_transaction()


def forced_transaction(
    session_id: int,
    index: int,
    to: bytes = COUNTER,
    data: bytes = b"",
    sender: bytes = b"\x99" * 20,
    due_at: int = 2**64 - 1,
) -> bytes:
    return Message(chain_id(session_id), index, sender, to, 1_000_000, due_at, data).encode_transaction()


def sign(session_id: int, account: Any, nonce: int, to: bytes = RECIPIENT, **fields: Any) -> bytes:
    """A signed transaction, of type 2 unless `fields` say otherwise; it is free."""
    values: dict[str, Any] = {
        "chainId": chain_id(session_id),
        "nonce": nonce,
        "to": to,
        "value": 0,
        "gas": 100_000,
        "maxFeePerGas": 0,
        "maxPriorityFeePerGas": 0,
        **fields,
    }
    return bytes(
        account.sign_transaction({name: value for name, value in values.items() if value is not None}).raw_transaction
    )


def end_transaction(session_id: int, account: Any, nonce: int, result: bytes) -> bytes:
    padded = result + bytes(-len(result) % 32)
    data = END_SELECTOR + (32).to_bytes(32, "big") + len(result).to_bytes(32, "big") + padded
    return sign(session_id, account, nonce, PREDEPLOY, data=data, gas=1_000_000)


@dataclass(frozen=True)
class Row:
    """A stored block."""

    number: int
    hash: bytes
    header: bytes
    transactions: list[bytes]
    senders: list[bytes]


class BlockStore:
    """Blocks in SQLite; one transaction a call. `gate` runs first and may raise or wait."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.execute("CREATE TABLE sessions (id INTEGER PRIMARY KEY)")
        self._connection.execute(
            "CREATE TABLE blocks (session INTEGER, number INTEGER, hash BLOB, header BLOB,"
            " PRIMARY KEY (session, number))"
        )
        self._connection.execute(
            "CREATE TABLE transactions (session INTEGER, number INTEGER, position INTEGER, raw BLOB, sender BLOB,"
            " hash BLOB UNIQUE)"
        )
        self._lock = threading.Lock()
        self.gate: Callable[[list[_engine.Block]], None] = lambda blocks: None
        self.groups: list[list[tuple[int, int]]] = []
        self.blocks: dict[tuple[int, int], _engine.Block] = {}

    @contextmanager
    def held(self) -> Iterator[threading.Event]:
        """Lets `persist` wait until the end of the context; gives an event that is set when it does."""
        waiting, released = threading.Event(), threading.Event()

        def gate(blocks: list[_engine.Block]) -> None:
            waiting.set()
            assert released.wait(60)

        self.gate = gate
        try:
            yield waiting
        finally:
            self.gate = lambda blocks: None
            released.set()

    def persist(self, blocks: list[_engine.Block]) -> None:
        self.gate(blocks)
        with self._lock, self._connection:
            for block in blocks:
                self._connection.execute(
                    "INSERT INTO blocks VALUES (?, ?, ?, ?)", (block.session_id, block.number, block.hash, block.header)
                )
                self._connection.executemany(
                    "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?)",
                    [(block.session_id, block.number, row[0], row[6], row[3], row[1]) for row in block.transactions],
                )
            self.groups.append([(block.session_id, block.number) for block in blocks])
            self.blocks.update({(block.session_id, block.number): block for block in blocks})

    def add_session(self, session_id: int) -> None:
        with self._lock, self._connection:
            self._connection.execute("INSERT OR IGNORE INTO sessions VALUES (?)", (session_id,))

    def has_session(self, session_id: int) -> bool:
        with self._lock:
            return bool(self._connection.execute("SELECT 1 FROM sessions WHERE id = ?", (session_id,)).fetchone())

    def load(self, session_id: int) -> list[Row]:
        with self._lock:
            blocks = self._connection.execute(
                "SELECT number, hash, header FROM blocks WHERE session = ? ORDER BY number", (session_id,)
            ).fetchall()
            rows = []
            for number, block_hash, header in blocks:
                body = self._connection.execute(
                    "SELECT raw, sender FROM transactions WHERE session = ? AND number = ? ORDER BY position",
                    (session_id, number),
                ).fetchall()
                rows.append(Row(number, block_hash, header, [raw for raw, _ in body], [sender for _, sender in body]))
            return rows

    def transaction_hashes(self, session_id: int) -> list[bytes]:
        """In order of execution."""
        with self._lock:
            return [
                row[0]
                for row in self._connection.execute(
                    "SELECT hash FROM transactions WHERE session = ? ORDER BY number, position", (session_id,)
                )
            ]


class Node:
    """An engine, its store, and a thread pool to submit from."""

    def __init__(
        self,
        *,
        store: BlockStore | None = None,
        limits: dict[str, int] | None = None,
        wake: Callable[[int], bool | str] | None = None,
        call: Callable[[str, str], str] | None = None,
        preconfirmation_key: bytes | None = OPERATOR_KEY,
    ) -> None:
        self.store = store or BlockStore()
        self.wakes: list[int] = []
        self.before_restore: Callable[[list[Row]], list[Row]] = lambda rows: rows
        self._pool = ThreadPoolExecutor(64)
        self._port = 0
        self.engine = _engine.Engine(
            persist=self.store.persist,
            wake=wake or self._wake,
            call=call or (lambda method, params: "null"),
            preconfirmation_key=preconfirmation_key,
            l1_chain_id=L1_CHAIN_ID,
            zk_relayer=ZK_RELAYER,
            limits=limits,
        )
        self.template = self.engine.add_template(TEMPLATE)

    def open(self, *session_ids: int, init: bool = True, **rules: int) -> None:
        """Opens new sessions and waits until their init message is in block 1."""
        for session_id in session_ids:
            self.store.add_session(session_id)
            self.open_only(session_id, init=init, **rules)
            self.engine.activate(session_id)
        if init:
            for session_id in session_ids:
                wait_until(partial(self._has_begun, session_id))

    def _has_begun(self, session_id: int) -> bool:
        return self.info(session_id).number >= 1

    def open_only(self, session_id: int, *, init: bool = True, **rules: int) -> bytes:
        return self.engine.open_session(
            session_id,
            chain_id(session_id),
            self.template.state_root,
            config_hash(session_id),
            seed(session_id),
            OPENED_AT,
            init_transaction(session_id) if init else None,
            **rules,
        )

    def restore(self, session_id: int) -> None:
        self.open_only(session_id)
        for row in self.before_restore(self.store.load(session_id)):
            self.engine.restore_block(session_id, row.header, row.transactions, row.senders)
        self.engine.activate(session_id)

    def info(self, session_id: int) -> _engine.SessionInfo:
        info = self.engine.session_info(session_id)
        assert info is not None, f"session {session_id} is not in memory"
        return info

    def submit(self, session_id: int, *transactions: bytes) -> list[bytes]:
        return self.engine.submit(session_id, list(transactions))

    def submit_later(self, session_id: int, *transactions: bytes) -> Future[list[bytes]]:
        return self._pool.submit(self.engine.submit, session_id, list(transactions))

    def wait_queued(self, session_id: int, account: Any, nonce: int) -> None:
        """Waits until the account's transactions up to `nonce` are queued or executed."""
        port = self._port = self._port or self.engine.serve("127.0.0.1", 0)
        query = (port, f"/session/{session_id}", "eth_getTransactionCount", account.address, "pending")
        wait_until(lambda: int(str(request(*query)["result"]), 16) > nonce)

    def _wake(self, session_id: int) -> bool:
        self.wakes.append(session_id)
        if not self.store.has_session(session_id):
            return False
        self.restore(session_id)
        return True


def config_hash(session_id: int) -> bytes:
    return keccak256(b"config%d" % session_id)


def seed(session_id: int) -> bytes:
    return keccak256(b"seed%d" % session_id)


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Returns as soon as the condition holds; fails loudly if it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def results(futures: Iterable[Future[list[bytes]]]) -> Sequence[list[bytes]]:
    return [future.result(60) for future in futures]


def request(port: int, path: str, method: str, *params: object) -> dict[str, object]:
    """One JSON-RPC call over HTTP; the whole answer."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    message = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"content-type": "application/json"})
    with urllib.request.urlopen(message, timeout=30) as answer:
        decoded: dict[str, object] = json.load(answer)
        return decoded
