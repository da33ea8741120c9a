"""The durable store: everything that must survive a crash (SQLite by default, PostgreSQL by URL)."""

from exclave.store.blocks import Head, SealedBlock, StoredBlock
from exclave.store.changes import SessionChange
from exclave.store.claims import Batch, Claim, ClaimStatus, Leaf, NewBatch
from exclave.store.disputes import LeafEvent, LeafStanding, StoredDispute
from exclave.store.errors import (
    DatabaseCorrupt,
    DatabaseTooNew,
    DatabaseTooOld,
    LeaseHeld,
    LeaseLost,
    RecordConflict,
    RecordNotFound,
    Refusal,
    SessionsRefused,
    StateConflict,
    StoreError,
    StoreTransientError,
    StoreUnavailable,
)
from exclave.store.following import L1Block, Rollback
from exclave.store.inbox import InboxMessage
from exclave.store.jobs import Job, JobState
from exclave.store.leases import Lease, session_resource
from exclave.store.processes import Process
from exclave.store.sessions import FIRST_LOCAL_SESSION, Session, SessionStatus, Template
from exclave.store.store import Store

__all__ = [
    "FIRST_LOCAL_SESSION",
    "Batch",
    "Claim",
    "ClaimStatus",
    "DatabaseCorrupt",
    "DatabaseTooNew",
    "DatabaseTooOld",
    "Head",
    "InboxMessage",
    "Job",
    "JobState",
    "L1Block",
    "Leaf",
    "LeafEvent",
    "LeafStanding",
    "Lease",
    "LeaseHeld",
    "LeaseLost",
    "NewBatch",
    "Process",
    "RecordConflict",
    "RecordNotFound",
    "Refusal",
    "Rollback",
    "SealedBlock",
    "Session",
    "SessionChange",
    "SessionStatus",
    "SessionsRefused",
    "StateConflict",
    "Store",
    "StoreError",
    "StoreTransientError",
    "StoreUnavailable",
    "StoredBlock",
    "StoredDispute",
    "Template",
    "session_resource",
]
