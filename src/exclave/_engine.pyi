"""The native engine: sessions' hot state, block building, group commit, JSON-RPC (`crates/engine`).

All methods of `Engine` may be called from any thread and release the interpreter's lock while they work. The callbacks
are called on threads of the engine, `wake` and `call` several at a time.
"""

from collections.abc import Callable
from typing import final

__version__: str

class EngineError(Exception):
    """Base of all errors of the engine; itself raised for sessions, blocks and keys that don't exist or don't fit."""

class SubmitError(EngineError):
    """A transaction was refused and not executed.

    `kind` is one of Malformed, TooLarge, UnsupportedType, Unprotected, InvalidChainId, InvalidSignature, AlreadyKnown,
    NonceTooLow, NonceTooHigh, NonceQueued, InsufficientFunds, IntrinsicGas, GasLimitTooHigh, Invalid, SessionQueueFull,
    SessionFull, SenderQueueFull, SessionEnded, UnknownSession, SessionDropped, L1NotFollowed, StoreUnavailable,
    ShuttingDown, Internal. `message` is what Ethereum nodes answer. `index` is the transaction's position in the call.
    """

    kind: str
    message: str
    index: int
    def __init__(self, kind: str, message: str, index: int = 0) -> None: ...

class TemplateError(EngineError):
    """Bytes that aren't a template (docs/protocol.md 2)."""

class RestoreError(EngineError):
    """A stored block that isn't a valid child of the one before. The session has been dropped from memory."""

class SessionsRefused(EngineError):
    """Raised by `persist`: sessions that are not this process's, or of which the store has other blocks."""

    ids: list[int]
    def __init__(self, ids: list[int]) -> None: ...

class RpcError(EngineError):
    """Raised by `call`: the JSON-RPC error to answer with. `data` is JSON text or None."""

    code: int
    message: str
    data: str | None
    def __init__(self, code: int, message: str, data: str | None = None) -> None: ...

@final
class Template:
    """A genesis state in memory. `template_id` is `keccak256(abi.encode(stateRoot, dataHash))`."""

    @property
    def state_root(self) -> bytes: ...
    @property
    def data_hash(self) -> bytes: ...
    @property
    def template_id(self) -> bytes: ...

# (index, hash, type, sender, nonce or a message's index, to, raw, status, gas_used, cumulative_gas_used,
# contract_address)
TransactionRow = tuple[int, bytes, int, bytes, int, bytes | None, bytes, bool, int, int, bytes | None]
# (log_index in the block, transaction_index, address, topic0, topic1, topic2, topic3, data)
LogRow = tuple[int, int, bytes, bytes | None, bytes | None, bytes | None, bytes | None, bytes]

@final
class Block:
    """A sealed block, as the store writes it.

    Hashes have 32 bytes, addresses 20; gas in gas, `timestamp` in seconds since 1970.
    """

    @property
    def session_id(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def parent_hash(self) -> bytes: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def state_root(self) -> bytes: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def header(self) -> bytes:
        """RLP."""
    @property
    def preconfirmation(self) -> bytes:
        """65 bytes r, s, v (docs/protocol.md 7); empty if the engine has no preconfirmation key."""
    @property
    def inbox_count(self) -> int:
        """Forced messages consumed up to and including this block."""
    @property
    def inbox_hash(self) -> bytes: ...
    @property
    def result_hash(self) -> bytes:
        """Zero, or keccak256 of the session's result."""
    @property
    def result(self) -> bytes | None:
        """The session's result, in the block that ends it.

        None there only if the template's predeploy doesn't emit `SessionEnded`.
        """
    @property
    def encoded_transactions(self) -> bytes:
        """RLP of the list of raw transactions, each a byte string."""
    @property
    def senders(self) -> bytes:
        """20 bytes for each transaction."""
    @property
    def encoded_receipts(self) -> bytes:
        """RLP of the list of encoded receipts (EIP-2718, with their logs), each a byte string."""
    @property
    def transactions(self) -> list[TransactionRow]: ...
    @property
    def logs(self) -> list[LogRow]: ...

@final
class SessionInfo:
    """A session's latest durable block, at the moment of the call."""

    @property
    def session_id(self) -> int: ...
    @property
    def chain_id(self) -> int: ...
    @property
    def active(self) -> bool:
        """False while it is being restored."""
    @property
    def number(self) -> int: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def inbox_count(self) -> int: ...
    @property
    def inbox_hash(self) -> bytes: ...
    @property
    def ended(self) -> bool: ...
    @property
    def result_hash(self) -> bytes: ...
    @property
    def result(self) -> bytes | None: ...

@final
class Engine:
    """All sessions of one process.

    `persist(blocks)` makes the blocks of many sessions durable, all or none: one database transaction. It must have
    happened on return and must not have happened if it raises. `SessionsRefused(ids)` drops these sessions from memory
    and calls it again with the other blocks; after any other exception all sessions stay as they were and the
    submitters get `StoreUnavailable`. Where the store already has another block of that number (a commit whose answer
    was lost), raise `SessionsRefused`: the session is woken again from what the store has.

    `wake(session_id)` is called when a session that isn't in memory is touched: open it, restore its blocks, activate
    it, enqueue what its inbox holds, return True; False if there is no such session. Where another process has it, the
    URL of that one's JSON-RPC: requests for the session are passed on to it.

    `call(method, params_json)` answers the JSON-RPC methods that Python serves on `/`; it returns JSON text or raises
    `RpcError`.

    `limits` by name: transaction_bytes, session_queue, session_queue_bytes, session_memory, sender_queue, nonce_gap_ms,
    block_time_ms, builder_threads, persist_group, persist_retry_ms, wakes, unknown_ms, calls, client_connections,
    shutdown_ms (`crates/engine/src/limits.rs`).

    Raises ValueError for a limit that doesn't exist and for keys or addresses of a wrong length, EngineError for an
    invalid key.
    """

    def __init__(
        self,
        *,
        persist: Callable[[list[Block]], None],
        wake: Callable[[int], bool | str],
        call: Callable[[str, str], str],
        preconfirmation_key: bytes | None,
        l1_chain_id: int,
        zk_relayer: bytes,
        rpc_threads: int = 2,
        limits: dict[str, int] | None = None,
    ) -> None: ...
    def add_template(self, data: bytes) -> Template:
        """Keeps a template file in memory for sessions to start from; idempotent. Raises TemplateError."""

    def open_session(
        self,
        session_id: int,
        chain_id: int,
        state_root: bytes,
        config_hash: bytes,
        seed: bytes,
        timestamp: int,
        init_transaction: bytes | None,
        inclusion_delay: int | None = None,
        block_bytes: int | None = None,
    ) -> bytes:
        """Makes block 0 and returns its hash. The init message is queued; nothing is built before `activate`.

        `state_root` is that of an added template; `init_transaction` is raw (0x7e), None for a template-building
        session. `inclusion_delay` (seconds, of the session's terms) makes user transactions wait for L1: see
        `followed_until`; None or 0 for a session without messages from L1. `block_bytes` bounds the data of a block's
        transactions in a claim, each with the length before it; a transaction that would not fit alone gets
        `TooLarge`. None is without bound. Raises EngineError.
        """

    def restore_block(self, session_id: int, header: bytes, transactions: list[bytes], senders: list[bytes]) -> None:
        """Executes a stored block on top of the opened session and compares every hash.

        Raises RestoreError and drops the session if it differs.
        """

    def execute_block(self, session_id: int, timestamp: int, transactions: list[bytes]) -> Block:
        """Executes transactions as the next block of a session that isn't active, at this time: the block that a
        claim's data describes. Raises RestoreError if they make no valid block; the session stays as it was.
        """

    def activate(self, session_id: int) -> None:
        """Starts to build blocks, with the init message first if block 1 wasn't restored. Raises EngineError."""

    def enqueue_messages(self, session_id: int, transactions: list[bytes]) -> None:
        """Queues forced messages, raw (0x7e), in order of index; call it after restoring. Known ones are ignored,
        queued ones replaced where they differ (an L1 reorg), and all are ignored once the session has ended. Raises
        EngineError for a gap or a message that contradicts an executed one.
        """

    def followed_until(self, l1_timestamp: int) -> None:
        """All messages that L1 enqueued up to this time (seconds since 1970) were given to `enqueue_messages`, or are
        in the store for the sessions not in memory.

        Whatever isn't known was enqueued later, and is due `inclusion_delay` after that (INVARIANT I4). Until a second
        before, user transactions are executed; from then on they get `L1NotFollowed`, and the time of blocks with
        messages goes no further. The last call counts: after a reorganisation of L1 the time may go back. Before the
        first call nothing is known.
        """

    def submit(self, session_id: int, transactions: list[bytes]) -> list[bytes]:
        """Executes signed transactions; returns their hashes when all are durable. Wakes the session if need be.

        Raises SubmitError for the first that failed; the others of the call may have been executed.
        """

    def drop_session(self, session_id: int) -> bool:
        """Takes a session out of memory, finishing the block in progress.

        False if it wasn't there. What waits gets `SessionDropped`.
        """

    def session_info(self, session_id: int) -> SessionInfo | None:
        """None if the session isn't in memory; doesn't wake it."""

    def session_ids(self) -> list[int]:
        """The sessions in memory, in ascending order."""

    def session_memory(self) -> dict[int, int]:
        """Bytes that each session in memory takes, an estimate that errs upwards."""

    def transaction_count(self, session_id: int, account: bytes) -> int:
        """The account's nonce after the latest block of a session in memory. Raises `EngineError`."""
    def export_template(self, session_id: int) -> bytes:
        """The present state of a session in memory as a template file. Raises EngineError."""

    def witness(self, session_id: int, number: int) -> bytes:
        """RLP of the witness of block `number` >= 1 of a session in memory:

        What verifying it reads of its parent's state. Raises EngineError.
        """

    def guest_run(
        self,
        session_id: int,
        from_number: int,
        last_number: int,
        *,
        configuration: bytes,
        prover: bytes,
        public_recoveries: int,
    ) -> tuple[bytes, bytes, bytes]:
        """What proves that block `last_number` of a session in memory descends from block `from_number`:

        the guest's input, the statement's encoding, of which the proof shows the keccak256, and the encoded recoveries
        on which it depends: the first `public_recoveries` signatures, at most 256 (docs/protocol.md, section 9).
        `configuration` is the preimage of the session's configHash. Raises EngineError.
        """

    def guest_judgement(
        self,
        session_id: int,
        from_number: int,
        header: bytes,
        transactions: list[bytes],
        *,
        configuration: bytes,
        prover: bytes,
        public_recoveries: int,
    ) -> tuple[bytes, bytes, bytes]:
        """As `guest_run`, about a block that somebody claims to be a child of block `from_number`: its header as it was
        hashed, and the transactions that the header commits to. The verdict may be either. Raises EngineError.
        """

    def set_leader(self, url: str | None) -> None:
        """Requests to `/` are passed on to the process at this URL; None answers them here."""

    def serve(self, host: str, port: int, *, share_port: bool = False, peers: bool = False) -> int:
        """Serves JSON-RPC (HTTP and WebSocket); port 0 takes a free one. Returns the port. Raises OSError.

        `share_port`: other processes of this user listen there too, and the system spreads the connections
        (SO_REUSEPORT).
        `peers`: for the other processes of the deployment, so without a bound of connections for one client.
        """

    def metrics_text(self) -> str:
        """What the engine counts (transactions, commits, time to build) and what waits in it (queues, wakes), in
        Prometheus' text format.
        """

    def shutdown(self) -> None:
        """Takes no more transactions, finishes those accepted (at most `shutdown_ms`), stops all threads.

        Idempotent; also done at the interpreter's exit.
        """

def metrics_text() -> str:
    """The JSON-RPC server's counters (requests and latency per method, errors, connections) of this process, in
    Prometheus' text format.
    """

def ordered_trie_root(items: list[bytes], /) -> bytes:
    """The root of the trie of a block's encoded transactions or receipts, in order: what headers commit to."""

def keccak256(data: bytes, /) -> bytes: ...
def split_rlp_strings(data: bytes, /) -> list[bytes]:
    """The items of an RLP list of byte strings. Raises `ValueError`."""

def execute_blocks(
    template: bytes, chain_id: int, seed: bytes, timestamp: int, blocks: list[tuple[int, list[bytes]]], /
) -> list[tuple[bytes | None, list[str | None], list[bytes]]]:
    """Builds blocks (timestamp in seconds, raw transactions) on a template, without an engine; for tests of
    conformance.

    For each block: RLP of its header (None without valid transactions), why each transaction is invalid (None if it
    isn't), encoded receipts of the valid ones. Each block is verified again on the full state and on its witness.
    Raises ValueError for a malformed template, RuntimeError if the executions differ.
    """
