"""The node's side of L1: client, EthTxManager, signers, blobs."""

from exclave.l1.client import CallRequest, ClientSettings, L1Client
from exclave.l1.errors import L1Error, L1Unavailable
from exclave.l1.intents import Intent, IntentRecord, IntentState
from exclave.l1.signers import LocalSigner, Signer, SignerError, Web3Signer
from exclave.l1.transaction_manager import Alert, AlertKind, EthTxManager, ManagerSettings
from exclave.l1.values import L1Header, L1Log, L1Receipt

__all__ = [
    "Alert",
    "AlertKind",
    "CallRequest",
    "ClientSettings",
    "EthTxManager",
    "Intent",
    "IntentRecord",
    "IntentState",
    "L1Client",
    "L1Error",
    "L1Header",
    "L1Log",
    "L1Receipt",
    "L1Unavailable",
    "LocalSigner",
    "ManagerSettings",
    "Signer",
    "SignerError",
    "Web3Signer",
]
