"""In place of the program `exclave-prover`, for nodes that are processes of their own: proofs for the accepting
verifier (`support.disputes`). A real one takes minutes.

What a proof states is found by preparing every range of the node's sessions until one has the input. Environment:
`STUB_DATABASE`, `STUB_RELAYER` and `STUB_PROVER` (hex), `STUB_LOG` (a line for each proof that is made).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from exclave.prover import PROGRAM_ID, ProofRequest
from exclave.prover.replay import prepare
from exclave.store import Store


def find_request(content: bytes) -> ProofRequest:
    """The request with this input."""
    with Store(os.environ["STUB_DATABASE"]) as store:
        for session in store.sessions.find():
            head = store.blocks.head(session.session_id)
            for last in range(1, head.number + 1 if head else 0):
                for first in range(1, last + 1):
                    request = prepare(
                        store,
                        session.session_id,
                        first,
                        last,
                        l1_chain_id=31337,
                        zk_relayer=bytes.fromhex(os.environ["STUB_RELAYER"]),
                        prover=bytes.fromhex(os.environ["STUB_PROVER"]),
                    )
                    if request.input == content:
                        return request
    raise AssertionError("no range of any session has this input")


def main(arguments: list[str]) -> None:
    """`prove --input FILE --output FILE ...` or `verify --proof FILE`."""
    paths = {name: Path(value) for name, value in zip(arguments[1::2], arguments[2::2], strict=True)}
    if arguments[0] == "prove":
        head = PROGRAM_ID + find_request(paths["--input"].read_bytes()).statement.hash()
        paths["--output"].write_bytes(head + bytes(40))
        with Path(os.environ["STUB_LOG"]).open("a") as log:
            log.write(head.hex() + "\n")
    else:
        head = paths["--proof"].read_bytes()[:64]
    found = {"program_id": head[:32], "public": head[32:]}
    result = {name: "0x" + value.hex() for name, value in found.items()}
    print(json.dumps({**result, "head": 64, "parts": [72, 80, 88, 96, 104]}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
