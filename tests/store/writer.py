"""A process that writes blocks until it is stopped or refused: `writer.py URL OWNER LEASE_SECONDS FORK STALL_AFTER
SESSION...`.

After STALL_AFTER rounds (0: never) it stops itself between two transactions, as a machine that is suspended does.

Each line that it prints is an acknowledgement: `ack SESSION NUMBER` for blocks that are durable, `refused SESSION`
when a session is lost.
"""

from __future__ import annotations

import os
import signal
import sys

from support.chain import block

from exclave.store import SessionsRefused, Store, session_resource


def main(url: str, owner: str, seconds: str, fork: str, stall_after: str, *names: str) -> None:
    store = Store(url)
    store.migrate()
    session_ids = [int(name) for name in names]
    tokens = {i: store.leases.acquire(session_resource(i), owner, float(seconds)).token for i in session_ids}
    print("ready", flush=True)
    rounds = 0
    while tokens:
        wanted = []
        for session_id in tokens:
            head = store.blocks.head(session_id)
            number = 1 if head is None else head.number + 1
            parent = {} if head is None else {"parent_hash": head.hash}
            wanted += [block(session_id, number, fork=fork, **parent)]
            wanted += [block(session_id, number + 1, fork=fork)]
        refused: list[int] = []
        try:
            store.blocks.write(wanted, tokens)
        except SessionsRefused as error:
            refused = error.session_ids
        lines = [f"ack {b.session_id} {b.number}" for b in wanted if b.session_id not in refused]
        lines += [f"refused {session_id}" for session_id in refused]
        print("\n".join(lines), flush=True)
        for session_id in refused:
            del tokens[session_id]
        rounds += 1
        if rounds == int(stall_after):
            os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    main(*sys.argv[1:])
