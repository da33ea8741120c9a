"""Errors of the protocol's pure functions: one base type for anything bad that came from outside."""

from __future__ import annotations


class ProtocolError(ValueError):
    """Base of every error that these modules raise for bad input."""


class InvalidField(ProtocolError):
    """A value has the wrong length or is out of its type's range."""


class DecodeError(ProtocolError):
    """Bytes are not the canonical encoding of what they claim to be."""


class DataTooLarge(DecodeError):
    """Decompressed batch data, or a template, exceeds the caller's bound."""


class InvalidSignature(ProtocolError):
    """A signature is malformed, malleable (high s) or recovers to no key."""
