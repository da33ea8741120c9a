"""Leases with fencing tokens: what only one process may do at a time.

A lease alone doesn't keep a paused process from writing after its time: therefore each change of hands makes the
token grow, and a write shows its token in its own transaction (`check`, `Blocks.write`). INVARIANT I6, I7.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select, update

from exclave.store.errors import LeaseHeld, LeaseLost
from exclave.store.repository import Repository, insert_all_absent
from exclave.store.schema import leases

_CHUNK = 1000
"""Leases in one statement."""


def session_resource(session_id: int) -> str:
    """The name of the lease whose holder may write a session's blocks."""
    return f"session:{session_id}"


@dataclass(frozen=True, slots=True)
class Lease:
    """What `acquire` gave: `token` is shown with each write; `expires_at_ms` is in the store's clock."""

    resource: str
    owner: str
    token: int
    expires_at_ms: int


class Leases(Repository):
    def acquire(self, resource: str, owner: str, seconds: float, *, connection: Connection | None = None) -> Lease:
        """Take a free, released or expired lease, or one's own again; the token is larger than all before it.

        `owner` must be of one process only (host, process id and something random): an owner can take its own lease
        over at any time. Raises `LeaseHeld` when another owner has it.
        """

        def work(tx: Connection) -> Lease:
            taken, held = self._take(tx, [resource], owner, seconds)
            if resource in held:
                raise held[resource]
            return taken[resource]

        return self._write(work, connection)

    def acquire_many(
        self, resources: Sequence[str], owner: str, seconds: float, *, connection: Connection | None = None
    ) -> tuple[dict[str, Lease], dict[str, LeaseHeld]]:
        """Take those leases that `acquire` would, in one transaction; for each of the others what it would raise."""
        return self._write(lambda tx: self._take(tx, sorted(resources), owner, seconds), connection)

    def _take(
        self, tx: Connection, wanted: Sequence[str], owner: str, seconds: float
    ) -> tuple[dict[str, Lease], dict[str, LeaseHeld]]:
        """`wanted` is sorted: locked in the order of `Blocks.write`, so that the two can't wait for each other."""
        taken: dict[str, Lease] = {}
        held: dict[str, LeaseHeld] = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            absent = [{"resource": resource, "owner": None, "token": 0, "expires_at_ms": 0} for resource in chunk]
            insert_all_absent(tx, leases, absent)
            query = select(leases).where(leases.c.resource.in_(chunk)).order_by(leases.c.resource).with_for_update()
            rows = tx.execute(query).all()
            now = self._store.now_ms(tx)
            until = now + int(seconds * 1000)
            for row in rows:
                if row.owner not in (None, owner) and row.expires_at_ms > now:
                    held[row.resource] = LeaseHeld(row.resource, row.owner, (row.expires_at_ms - now) / 1000)
                else:
                    taken[row.resource] = Lease(row.resource, owner, row.token + 1, until)
            tx.execute(
                update(leases)
                .where(leases.c.resource.in_([resource for resource in chunk if resource in taken]))
                .values(owner=owner, token=leases.c.token + 1, expires_at_ms=until)
            )
        return taken, held

    def renew(self, held: Iterable[Lease], seconds: float, *, connection: Connection | None = None) -> list[Lease]:
        """Prolong leases, all in one transaction; returns them with their new end. A lease that expired and that
        nobody took is still one's own.

        Raises `LeaseLost` with those that were taken over or released; the others are prolonged all the same.
        """
        wanted = sorted(held, key=lambda lease: lease.resource)

        def work(tx: Connection) -> list[Lease]:
            until = self._store.now_ms(tx) + int(seconds * 1000)
            renewed = []
            # Many in a statement: thousands of sessions are renewed every few seconds.
            for start in range(0, len(wanted), _CHUNK):
                chunk = wanted[start : start + _CHUNK]
                # Locked in the order in which `Blocks.write` locks them, so that the two can't wait for each other.
                current = (
                    select(leases.c.resource, leases.c.owner, leases.c.token)
                    .where(leases.c.resource.in_([lease.resource for lease in chunk]))
                    .order_by(leases.c.resource)
                    .with_for_update()
                )
                held_now = {(resource, owner, token) for resource, owner, token in tx.execute(current)}
                mine = [lease for lease in chunk if (lease.resource, lease.owner, lease.token) in held_now]
                resources = [lease.resource for lease in mine]
                tx.execute(update(leases).where(leases.c.resource.in_(resources)).values(expires_at_ms=until))
                renewed += [replace(lease, expires_at_ms=until) for lease in mine]
            return renewed

        renewed = self._write(work, connection)
        lost = {lease.resource for lease in wanted} - {lease.resource for lease in renewed}
        if lost:
            raise LeaseLost(lost)
        return renewed

    def release(self, held: Iterable[Lease], *, connection: Connection | None = None) -> None:
        """Give leases back at once. Leases that are no longer one's own are left alone."""

        def work(tx: Connection) -> None:
            for lease in sorted(held, key=lambda lease: lease.resource):
                tx.execute(
                    update(leases)
                    .where(
                        leases.c.resource == lease.resource,
                        leases.c.owner == lease.owner,
                        leases.c.token == lease.token,
                    )
                    .values(owner=None)
                )

        self._write(work, connection)

    def release_owner(self, owner: str, *, connection: Connection | None = None) -> None:
        """Give back all that a process had, which is known to be dead."""
        self._write(lambda tx: tx.execute(update(leases).where(leases.c.owner == owner).values(owner=None)), connection)

    def revoke(self, resources: Iterable[str], *, connection: Connection) -> dict[str, int]:
        """Take leases away from whoever has them: nothing is written under them any more once the given transaction is
        over. Returns the tokens of those that somebody had; older ones are worth nothing.
        """
        wanted = sorted(resources)
        revoked: dict[str, int] = {}
        for start in range(0, len(wanted), _CHUNK):
            query = (
                select(leases.c.resource, leases.c.token)
                .where(leases.c.resource.in_(wanted[start : start + _CHUNK]), leases.c.owner.is_not(None))
                .order_by(leases.c.resource)
                .with_for_update()
            )
            found = {resource: token + 1 for resource, token in connection.execute(query)}
            connection.execute(
                update(leases).where(leases.c.resource.in_(found)).values(owner=None, token=leases.c.token + 1)
            )
            revoked |= found
        return revoked

    def check(self, lease: Lease, *, connection: Connection) -> None:
        """Fence a write: nobody can take the lease over before the given transaction ends.

        Raises `LeaseLost` when somebody already has, or when it was released.
        """
        row = connection.execute(
            select(leases.c.owner, leases.c.token).where(leases.c.resource == lease.resource).with_for_update(read=True)
        ).first()
        if row is None or row.owner != lease.owner or row.token != lease.token:
            raise LeaseLost([lease.resource])

    def holder(self, resource: str, *, connection: Connection | None = None) -> Lease | None:
        """Who holds a lease now, None when it is free, released or expired."""

        def work(tx: Connection) -> Lease | None:
            row = tx.execute(select(leases).where(leases.c.resource == resource)).first()
            if row is None or row.owner is None or row.expires_at_ms <= self._store.now_ms(tx):
                return None
            return Lease(row.resource, row.owner, row.token, row.expires_at_ms)

        return self._read(work, connection)
