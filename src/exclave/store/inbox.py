"""Forced messages: what L1 puts into sessions (docs/protocol.md 4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from exclave.store.errors import RecordConflict
from exclave.store.repository import Repository, insert_if_absent
from exclave.store.schema import inbox


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """A forced message; `transaction` is its form in the session (`0x7e || rlp`), `inbox_hash` the accumulator after
    it.
    """

    session_id: int
    message_index: int
    transaction: bytes
    inbox_hash: bytes
    enqueued_at: int
    l1_block_number: int
    l1_block_hash: bytes
    l1_transaction_hash: bytes


class Inbox(Repository):
    def add(self, messages: Iterable[InboxMessage], *, connection: Connection | None = None) -> int:
        """Record messages; those that are known are skipped. Returns how many were new.

        Raises `RecordConflict` when another message has that index: a reorg that wasn't rolled back.
        """

        def work(tx: Connection) -> int:
            new = 0
            for message in messages:
                if insert_if_absent(tx, inbox, dataclasses.asdict(message)):
                    new += 1
                    continue
                known = tx.scalar(
                    select(inbox.c.inbox_hash).where(
                        inbox.c.session_id == message.session_id, inbox.c.message_index == message.message_index
                    )
                )
                if known != message.inbox_hash:
                    raise RecordConflict(
                        f"session {message.session_id} has another message at index {message.message_index}"
                    )
            return new

        return self._write(work, connection)

    def load(self, session_id: int, first: int = 0, *, connection: Connection | None = None) -> list[InboxMessage]:
        """A session's messages from index `first` on, in order."""

        def work(tx: Connection) -> list[InboxMessage]:
            query = (
                select(inbox)
                .where(inbox.c.session_id == session_id, inbox.c.message_index >= first)
                .order_by(inbox.c.message_index)
            )
            return [InboxMessage(**row._mapping) for row in tx.execute(query)]

        return self._read(work, connection)
