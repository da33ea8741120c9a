"""What the watchtower reports to Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

CLAIMS = Gauge("exclave_challenger_claims", "Claims that can still be disputed, by what the review found", ["verdict"])
LEAVES = Gauge("exclave_challenger_leaves", "Doubted leaves of claims, by how they stand", ["verdict"])
DISAGREEMENTS = Counter("exclave_challenger_disagreements", "Claims that were found wrong")
UNREVIEWED_NEAR_END = Gauge(
    "exclave_challenger_deadline_near", "Claims without a verdict, or wrong and undisputed, whose window ends soon"
)
STEPS = Counter("exclave_challenger_steps", "Transactions recorded for L1, by what they do", ["step"])
BONDS_AT_RISK = Gauge("exclave_challenger_bonds_at_risk_ether", "Bonds that are locked, or about to be")
BUDGET_EXHAUSTED = Gauge("exclave_challenger_budget_exhausted", "Steps that wait for the budget for bonds")
WITHDRAWABLE = Gauge("exclave_challenger_withdrawable_ether", "What was won and can be withdrawn", ["contract"])
ERRORS = Counter("exclave_challenger_errors", "Passes that failed", ["error"])
LAST_PASS = Gauge("exclave_challenger_last_pass_timestamp_seconds", "When the last complete pass ended")
