"""Why a fault can't be committed."""

from __future__ import annotations


class FaultError(Exception):
    """The fault can't be committed here; the text says why."""
