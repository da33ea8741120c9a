"""The tables of the durable store: one definition for SQLite and PostgreSQL.

Conventions: hashes and addresses are raw bytes; amounts are in wei (`Uint256`), times in seconds since 1970 unless a
column ends in `_ms`; numbers that the protocol calls `uint64` and that stay small (blocks, gas, timestamps, ids) are
`BigInteger`.

Other modules may add tables to `metadata` (`exclave.store.intents` does); `exclave.store.migrations` imports them so
that a new database has them all.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Uint256(TypeDecorator[int]):
    """A `uint256` as a 32-byte big-endian string: equality and order work in both databases."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.to_bytes(32, "big")

    def process_result_value(self, value: Any | None, dialect: Dialect) -> int | None:
        return None if value is None else int.from_bytes(value, "big")


class ByteTuple(TypeDecorator[tuple[bytes, ...]]):
    """A tuple of byte strings of one length (addresses, hashes), laid end to end."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def process_bind_param(self, value: tuple[bytes, ...] | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        if any(len(item) != self.size for item in value):
            raise ValueError(f"each item must have {self.size} bytes")
        return b"".join(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> tuple[bytes, ...] | None:
        if value is None:
            return None
        return tuple(bytes(value[i : i + self.size]) for i in range(0, len(value), self.size))


# SQLite gives a row its number only in a column of type INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")

schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied_at", BigInteger, nullable=False),
)

# Who may do a thing that only one process may do: write a session's blocks ("session:12"), use a signer's nonces
# ("signer:0x..."), follow L1 and claim ("node"). INVARIANT I6, I7: the token grows with every change of hands, and
# whoever writes shows it in the same transaction.
leases = Table(
    "leases",
    metadata,
    Column("resource", String(200), primary_key=True),
    Column("owner", String(200)),  # null: released
    Column("token", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
)

# The processes that share the database, and where they reach each other.
processes = Table(
    "processes",
    metadata,
    Column("owner", String(200), primary_key=True),  # of leases
    Column("url", String(500), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),  # prolonged while it lives
)

templates = Table(
    "templates",
    metadata,
    Column("template_id", LargeBinary, primary_key=True),
    Column("state_root", LargeBinary, nullable=False),
    Column("data_hash", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),  # the template's file (docs/protocol.md 2)
    Column("created_at", BigInteger, nullable=False),
)

# What sessions can be opened with. Content-addressed: a reorg that undoes a registration leaves nothing wrong.
terms = Table(
    "terms",
    metadata,
    Column("terms_hash", LargeBinary, primary_key=True),
    Column("terms", LargeBinary, nullable=False),  # abi.encode(Terms)
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_id", BigInteger, primary_key=True, autoincrement=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("status", String(20), nullable=False),  # SessionStatus
    Column("config_hash", LargeBinary, nullable=False),
    Column("template_id", LargeBinary, nullable=False),
    Column("game", LargeBinary, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("opened_block", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("players", ByteTuple(20), nullable=False),
    Column("init_data", LargeBinary, nullable=False),
    Column("terms", LargeBinary, nullable=False),  # abi.encode(Terms)
    Column("seed", LargeBinary),  # known one L1 block after the opening
    Column("genesis_hash", LargeBinary),  # of block 0, known with the seed
    Column("l1_block_hash", LargeBinary),  # null: a session of this node alone
    Column("l1_transaction_hash", LargeBinary),
    Column("result", LargeBinary),  # as settled on L1
    Column("settled_block", BigInteger),  # L1 block of the settlement or abort
    Column("refusal", String),  # why this node doesn't serve it (another operator's, terms that it doesn't accept)
    Column("callback_failed_block", BigInteger),  # L1 block in which the game refused the outcome; null: it hasn't
    Index(None, "status"),
)
# Sessions that are to be started: looked for at every step of the Relayer, among all that anybody ever opened.
_pending = sessions.c.genesis_hash.is_(None) & sessions.c.refusal.is_(None)
Index("ix_sessions_pending", sessions.c.session_id, sqlite_where=_pending, postgresql_where=_pending)

# Where each session's stored chain ends. A row appears with the session's first block.
heads = Table(
    "heads",
    metadata,
    Column("session_id", BigInteger, ForeignKey("sessions.session_id"), primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("inbox_count", BigInteger, nullable=False),
    Column("result", LargeBinary),  # not null: the session has ended in this block
)

# One row for a block, whatever is in it: it is what each acknowledged transaction waits for.
blocks = Table(
    "blocks",
    metadata,
    Column("session_id", BigInteger, ForeignKey("sessions.session_id"), primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("parent_hash", LargeBinary, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("state_root", LargeBinary, nullable=False),
    Column("gas_used", BigInteger, nullable=False),
    Column("header", LargeBinary, nullable=False),
    Column("preconfirmation", LargeBinary, nullable=False),
    Column("inbox_count", BigInteger, nullable=False),
    Column("inbox_hash", LargeBinary, nullable=False),
    Column("result", LargeBinary),
    # Last, so that what comes before is read without them.
    Column("senders", LargeBinary, nullable=False),  # 20 bytes for each transaction
    Column("transactions", LargeBinary, nullable=False),  # rlp([raw, ...])
    Column("receipts", LargeBinary, nullable=False),  # rlp([receipt with its logs as in EIP-2718, ...])
    CheckConstraint("number > 0", name="number"),
)

# Forced messages (docs/protocol.md 4), as the Relayer read them from L1.
inbox = Table(
    "inbox",
    metadata,
    Column("session_id", BigInteger, ForeignKey("sessions.session_id"), primary_key=True, autoincrement=False),
    Column("message_index", BigInteger, primary_key=True, autoincrement=False),
    Column("transaction", LargeBinary, nullable=False),  # 0x7e || rlp
    Column("inbox_hash", LargeBinary, nullable=False),  # the accumulator after this message
    Column("enqueued_at", BigInteger, nullable=False),
    Column("l1_block_number", BigInteger, nullable=False),
    Column("l1_block_hash", LargeBinary, nullable=False),
    Column("l1_transaction_hash", LargeBinary, nullable=False),
    Index(None, "l1_block_number"),
)

# The L1 blocks that a follower has worked through; the highest is its cursor, the others find the common ancestor
# after a reorg.
followed_blocks = Table(
    "followed_blocks",
    metadata,
    Column("follower", String(100), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("timestamp", BigInteger),  # null: recorded by an older version
)

# What the Relayer did to sessions, for the processes that have them in memory.
session_changes = Table(
    "session_changes",
    metadata,
    Column("sequence", RowId, primary_key=True, autoincrement=True),
    Column("session_id", BigInteger, nullable=False),
    Column("token", BigInteger),  # whoever has the session with an older token has lost it; null: it has news
)

# What the coordinator puts into one L1 transaction.
batches = Table(
    "batches",
    metadata,
    Column("batch_id", RowId, primary_key=True, autoincrement=True),
    Column("claims_root", LargeBinary, nullable=False),
    Column("terms_hash", LargeBinary, nullable=False),
    Column("data_mode", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),  # as posted or offered (docs/protocol.md 8)
    Column("intent_key", String(200), nullable=False, unique=True),
    Column("claim_id", BigInteger),  # once L1 has it
    Column("created_at", BigInteger, nullable=False),
)

batch_leaves = Table(
    "batch_leaves",
    metadata,
    Column("batch_id", RowId, ForeignKey("batches.batch_id"), primary_key=True, autoincrement=False),
    Column("leaf_index", Integer, primary_key=True, autoincrement=False),
    Column("session_id", BigInteger, ForeignKey("sessions.session_id"), nullable=False),
    Column("claim", LargeBinary, nullable=False),  # abi.encode(SessionClaim)
    Index(None, "session_id"),
)

# Claims as L1 has them, ours and others'.
claims = Table(
    "claims",
    metadata,
    Column("claim_id", BigInteger, primary_key=True, autoincrement=False),
    Column("status", String(20), nullable=False),  # ClaimStatus
    Column("claimant", LargeBinary, nullable=False),
    Column("claims_root", LargeBinary, nullable=False),
    Column("terms_hash", LargeBinary, nullable=False),
    Column("count", Integer, nullable=False),
    Column("header", LargeBinary, nullable=False),  # abi.encode(ClaimHeader)
    Column("bond", Uint256, nullable=False),  # wei, of all its sessions together
    Column("claimed_at", BigInteger, nullable=False),
    Column("settleable_at", BigInteger, nullable=False),
    Column("data_hash", LargeBinary),
    Column("blob_hashes", ByteTuple(32), nullable=False),
    Column("l1_block_number", BigInteger, nullable=False),
    Column("l1_block_hash", LargeBinary, nullable=False),
    Column("l1_transaction_hash", LargeBinary, nullable=False),
    Column("released_block", BigInteger),  # L1 block in which its bond went back; null: it is locked
    Index(None, "status"),
    Index(None, "l1_block_number"),
)

claim_sessions = Table(
    "claim_sessions",
    metadata,
    Column("claim_id", BigInteger, ForeignKey("claims.claim_id"), primary_key=True, autoincrement=False),
    Column("leaf_index", Integer, primary_key=True, autoincrement=False),
    Column("session_id", BigInteger, nullable=False),
    Column("claim", LargeBinary, nullable=False),  # abi.encode(SessionClaim)
    Index(None, "session_id"),
)

# Disputes about this node's claims (contracts/src/interfaces/IDisputeGame.sol).
disputes = Table(
    "disputes",
    metadata,
    Column("claim_id", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Integer, primary_key=True, autoincrement=False),  # DisputeKind
    Column("number", Uint256, primary_key=True),  # anything that fits into a uint64
    Column("opener", LargeBinary, nullable=False),
    Column("bond", Uint256, nullable=False),  # wei
    Column("deadline", BigInteger, nullable=False),
    Column("opened_block", BigInteger, nullable=False),  # of L1
    Column("opened_transaction", LargeBinary, nullable=False),
    Column("closed_block", BigInteger),  # of L1; null: it has no answer
    Column("closed_transaction", LargeBinary),
    Column("answerer", LargeBinary),
    Column("paid", Uint256),  # wei, to the answerer
    Index(None, "opened_block"),
)

# What L1 said of claims' leaves, in order: the last word counts.
leaf_events = Table(
    "leaf_events",
    metadata,
    Column("claim_id", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("l1_block_number", BigInteger, primary_key=True, autoincrement=False),
    Column("log_index", BigInteger, primary_key=True, autoincrement=False),
    Column("event", String(20), nullable=False),  # LeafEvent
    Index(None, "l1_block_number"),
)

# The proofs that answer disputes: of a leaf's blocks after `from_number` to `to_number`. Kept, so that after a crash
# the same proofs are made and not others.
proof_plans = Table(
    "proof_plans",
    metadata,
    Column("claim_id", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("from_number", BigInteger, primary_key=True, autoincrement=False),
    Column("to_number", BigInteger, primary_key=True, autoincrement=False),
)

# The coordinator's work: one row per range of a session that is claimed at once (a whole session has one, a long one
# a row per checkpoint).
jobs = Table(
    "jobs",
    metadata,
    Column("session_id", BigInteger, ForeignKey("sessions.session_id"), primary_key=True, autoincrement=False),
    Column("first_number", BigInteger, primary_key=True, autoincrement=False),
    Column("last_number", BigInteger),  # null while the range still grows
    Column("state", String(20), nullable=False),  # JobState
    Column("batch_id", RowId, ForeignKey("batches.batch_id")),
    Column("leaf_index", Integer),
    Column("claim_id", BigInteger),
    Column("claim_intent", String(200)),
    Column("claim_transaction", LargeBinary),
    Column("settle_intent", String(200)),
    Column("settle_transaction", LargeBinary),
    Column("attempts", Integer, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("error", String),
    Column("updated_at", BigInteger, nullable=False),
    Index(None, "state", "not_before"),
)
