"""The exceptions of exclave._engine, compiled into the extension.

The stable ABI of Python 3.11 has no native subclasses of exceptions.
"""


class EngineError(Exception):
    """Base of all errors of the engine; itself raised for sessions, blocks and keys that don't exist or don't fit."""


class SubmitError(EngineError):
    """A transaction was refused.

    `kind` is stable, `message` is what Ethereum nodes answer; `index` is its position in the call.
    """

    def __init__(self, kind, message, index=0):
        super().__init__(kind, message)
        self.kind = kind
        self.message = message
        self.index = index

    def __str__(self):
        return self.message


class TemplateError(EngineError):
    """Bytes that aren't a template (docs/protocol.md 2)."""


class RestoreError(EngineError):
    """A stored block that isn't a valid child of the one before. The session has been dropped."""


class SessionsRefused(EngineError):
    """Raised by `persist`: nothing of the call was written, because these sessions are not this process's."""

    def __init__(self, ids):
        super().__init__(f"sessions refused: {sorted(ids)}")
        self.ids = list(ids)


class RpcError(EngineError):
    """Raised by `call`: the JSON-RPC error to answer with; `data` is JSON text or None."""

    def __init__(self, code, message, data=None):
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.data = data

    def __str__(self):
        return self.message


for _class in (EngineError, SubmitError, TemplateError, RestoreError, SessionsRefused, RpcError):
    _class.__module__ = "exclave._engine"
