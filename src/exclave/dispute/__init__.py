"""Disputes about claims on L1 (docs/disputes.md): what is sent to the dispute contract, and what it tells."""
