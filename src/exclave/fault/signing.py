"""An operator who signs two blocks of one height."""

from __future__ import annotations

import json
from pathlib import Path

from exclave.fault.errors import FaultError
from exclave.fault.forgery import NOISE
from exclave.fault.report import Report
from exclave.fault.stage import Stage
from exclave.protocol import preconfirmation_digest, sign_digest


def equivocate(stage: Stage, output: Path | None, report: Report) -> None:
    """Signs another last block than the session's, and writes the signature as players keep theirs. Raises
    `FaultError`, `OSError`.
    """
    opening = stage.opening
    if stage.me != opening.terms.operator:
        raise FaultError(f"only the session's operator, 0x{opening.terms.operator.hex()}, can contradict himself")
    if output is None:
        raise FaultError("where does the signature go? Name a file with --output")
    number = stage.chain.last_number
    digest = preconfirmation_digest(opening.l1_chain_id, opening.zk_relayer, opening.session_id, number, NOISE)
    signed = {
        "sessionId": hex(opening.session_id),
        "number": hex(number),
        "blockHash": "0x" + NOISE.hex(),
        "signature": "0x" + sign_digest(digest, stage.key).hex(),
    }
    output.write_text(json.dumps(signed) + "\n", encoding="ascii")
    report.say(f"another block {number} signed: {output}")
