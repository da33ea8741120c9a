"""JSON-RPC errors of the methods that Python serves."""

from __future__ import annotations

from typing import Any, ClassVar


class RpcError(Exception):
    """An error with a JSON-RPC 2.0 code. `data` is any JSON value that helps the caller."""

    code: ClassVar[int] = -32000
    title: ClassVar[str] = "Server error"

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class MethodNotFound(RpcError):
    code = -32601
    title = "Method not found"


class InvalidParams(RpcError):
    code = -32602
    title = "Invalid params"


class InternalError(RpcError):
    """Something failed that isn't the caller's fault; the log has the details, the answer doesn't."""

    code = -32603
    title = "Internal error"


class ResourceNotFound(RpcError):
    """EIP-1474: the requested session, claim, batch, ... isn't known to this node."""

    code = -32001
    title = "Resource not found"


class ResourceUnavailable(RpcError):
    """EIP-1474: known, but not now (L1 can't be reached, the session isn't started yet)."""

    code = -32002
    title = "Resource unavailable"


class MethodNotSupported(RpcError):
    """EIP-1474: the method exists but is disabled in this node's configuration."""

    code = -32004
    title = "Method not supported"
