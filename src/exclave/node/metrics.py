"""What the node reports to Prometheus."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable

from prometheus_client import Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from exclave import _engine

ACKNOWLEDGED_BLOCKS = Counter("exclave_blocks", "Session blocks made durable")
SESSIONS_IN_MEMORY = Gauge("exclave_sessions_in_memory", "Sessions that this process holds")
SESSIONS_LOST = Counter("exclave_sessions_lost", "Sessions dropped because the store refused their blocks", ["reason"])

RELAYER_BLOCK = Gauge("exclave_relayer_block", "Last L1 block that the relayer has worked through")
RELAYER_LAG = Gauge("exclave_relayer_lag_blocks", "Confirmed L1 blocks that the relayer has yet to work through")
RELAYER_ROLLBACKS = Counter("exclave_relayer_rollbacks", "L1 reorgs that undid recorded events")
RELAYER_REPLACED_SESSIONS = Counter(
    "exclave_relayer_replaced_sessions", "Sessions whose played chain was archived because L1 replaced their opening"
)
RELAYER_ERRORS = Counter("exclave_relayer_errors", "Attempts to follow L1 that failed", ["error"])
SESSIONS_OPENED = Counter("exclave_sessions_opened", "Sessions started")

COORDINATOR_JOBS = Gauge("exclave_coordinator_jobs", "Ranges of blocks on their way to settlement", ["state"])
COORDINATOR_ERRORS = Counter("exclave_coordinator_errors", "Passes of the coordinator that failed", ["error"])
CLAIMS_SENT = Counter("exclave_claims", "Claims recorded for sending to L1")
SETTLEMENTS_SENT = Counter("exclave_settlements", "Settlements recorded for sending to L1")
SESSIONS_STOPPED = Counter("exclave_sessions_stopped", "Sessions stopped after their deadline")

DISPUTES_OPEN = Gauge("exclave_disputes_open", "Disputes about this node's claims that have no answer yet")
DISPUTE_SECONDS_LEFT = Gauge(
    "exclave_dispute_seconds_left", "L1 time until the nearest deadline of a dispute; infinite while there is none"
)
DISPUTE_SECONDS_LEFT.set(float("inf"))
DISPUTES_MISSED = Counter("exclave_disputes_missed", "Deadlines of disputes that passed without an answer")
DISPUTE_ANSWERS = Counter("exclave_dispute_answers", "Answers to disputes recorded for sending to L1", ["kind"])
PROOFS_RUNNING = Gauge("exclave_proofs_running", "Proofs being made for disputes")
PROOFS_FAILED = Counter("exclave_proofs_failed", "Attempts to make a proof for a dispute that failed")

SIGNER_BALANCE = Gauge("exclave_signer_balance_ether", "What the signer of L1 transactions has")

WORKER_RESTARTS = Counter("exclave_worker_restarts", "Workers that ended and were started again")
TASK_RESTARTS = Counter("exclave_task_restarts", "Background tasks that failed and were restarted", ["task"])


def serve_metrics(host: str, port: int, engine: _engine.Engine | None = None) -> Callable[[], None]:
    """Serve what is counted here and in the engine at `/metrics`; returns what stops it. Raises `OSError`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404, "metrics are at /metrics")
                return
            body = generate_latest() + _engine.metrics_text().encode()
            if engine is not None:
                body += engine.metrics_text().encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE_LATEST)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not news."""

    server = http.server.ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return stop
