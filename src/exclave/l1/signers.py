"""Who signs L1 transactions: a key in memory, or a Web3Signer. `exclave.node.keys` finds it by the configuration.

A key never appears in errors, logs or representations.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
from pydantic_core import from_json

from exclave.l1.endpoints import redact_url
from exclave.l1.errors import L1Error
from exclave.l1.transactions import Transaction
from exclave.l1.values import to_hex
from exclave.protocol.errors import InvalidSignature
from exclave.protocol.fields import keccak256
from exclave.protocol.signatures import address_of, recover_signer, sign_digest

DEVELOPMENT_CHAINS: Final = frozenset({1337, 31337})
"""geth's and anvil's: keys that lie about in the environment can't lose real money there."""


class SignerError(L1Error):
    """A signer can't be set up, or didn't sign. Its text says what to do."""


class SignerUnavailable(SignerError):
    """The remote signer didn't answer; the same request may succeed later."""


class Signer(Protocol):
    """Signs for one address."""

    @property
    def address(self) -> bytes: ...

    async def sign_transaction(self, transaction: Transaction) -> bytes:
        """The signed transaction, a blob transaction without its blobs (`blobs.network_form` adds them).

        Raises `SignerError`.
        """
        ...


class LocalSigner:
    """Signs with a key in memory. Raises `SignerError` when `private_key` is not a key."""

    def __init__(self, private_key: bytes) -> None:
        try:
            self._address = address_of(private_key)
        except InvalidSignature as error:
            raise SignerError(str(error)) from None
        self._private_key = private_key

    @property
    def address(self) -> bytes:
        return self._address

    async def sign_transaction(self, transaction: Transaction) -> bytes:
        return transaction.with_signature(sign_digest(transaction.signing_hash(), self._private_key))

    def __repr__(self) -> str:
        return f"LocalSigner({to_hex(self._address)})"


def read_keystore(keystore: Path, password: str) -> bytes:
    """The key in a V3 keystore file (Web3 Secret Storage). Slow by design (the key derivation).

    Raises `SignerError`.
    """
    try:
        # Not json.loads: see endpoints.Endpoint._post.
        content = from_json(keystore.read_bytes())
    except OSError as error:
        raise SignerError(f"can't read the keystore {keystore}: {error.strerror}") from None
    except ValueError:
        raise SignerError(f"{keystore} is not a keystore: it isn't JSON") from None
    try:
        key = _decrypt(content, password)
        address = address_of(key)
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise SignerError(f"the password doesn't open the keystore {keystore}") from None
        raise SignerError(f"{keystore} is not a V3 keystore (Web3 Secret Storage)") from None
    except (KeyError, TypeError, NotImplementedError, AttributeError):
        raise SignerError(f"{keystore} is not a V3 keystore (Web3 Secret Storage)") from None
    stated = content.get("address")
    if isinstance(stated, str) and stated.lower().removeprefix("0x") != address.hex():
        raise SignerError(f"{keystore} states another address than that of its key: it was changed, or damaged")
    return key


def _decrypt(content: Any, password: str) -> bytes:
    """eth-account imports py_ecc, which raises Python's recursion limit a hundredfold for the whole process: deeply
    nested input from outside then ends the process instead of raising `RecursionError`. So the limit is put back.
    """
    limit = sys.getrecursionlimit()
    from eth_account import Account

    sys.setrecursionlimit(limit)
    return bytes(Account.decrypt(content, password))


class Web3Signer:
    """Signs with a key that a Web3Signer (or what speaks its eth1 API) holds.

    `POST /api/v1/eth1/sign/{public key}` with `{"data": hex}` answers the signature of `keccak256(data)`: r, s and v
    in hex. It needs no L1 node behind the signer, as its JSON-RPC `eth_signTransaction` does, and signs every type of
    transaction. Every signature is checked before it is used: it must recover to `address`.
    """

    def __init__(
        self,
        url: str,
        address: bytes,
        *,
        timeout: float = 10.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._name = redact_url(url)
        self._address = address
        self._identifier: str | None = None
        self._http = httpx.AsyncClient(timeout=timeout, headers=dict(headers or {}))

    @property
    def address(self) -> bytes:
        return self._address

    async def close(self) -> None:
        await self._http.aclose()

    async def sign_transaction(self, transaction: Transaction) -> bytes:
        payload = transaction.signing_payload()
        if self._identifier is None:
            self._identifier = await self._find_key()
        answer = await self._request("POST", f"/api/v1/eth1/sign/{self._identifier}", {"data": to_hex(payload)})
        return transaction.with_signature(self._checked(answer, keccak256(payload)))

    async def check(self) -> None:
        """Ask the service for the key, as before a first signature, but sign nothing. Raises `SignerError`."""
        self._identifier = await self._find_key()

    async def _find_key(self) -> str:
        """The identifier of the key whose address is ours (`GET /api/v1/eth1/publicKeys`)."""
        answer = await self._request("GET", "/api/v1/eth1/publicKeys", None)
        try:
            keys = json.loads(answer)
            for key in keys:
                point = bytes.fromhex(key.removeprefix("0x"))[-64:]
                if keccak256(point)[12:] == self._address:
                    return str(key)
        except (ValueError, TypeError, AttributeError):
            raise SignerError(f"the remote signer {self._name} doesn't list its public keys") from None
        raise SignerError(f"the remote signer {self._name} has no key for {to_hex(self._address)}: load it there")

    def _checked(self, answer: str, digest: bytes) -> bytes:
        text = answer.strip().strip('"')
        if not re.fullmatch(r"0x[0-9a-fA-F]{130}", text):
            raise SignerError(f"the remote signer {self._name} answered with something that isn't a signature")
        body = bytes.fromhex(text[2:])[:64]
        # Its v may be 0, 1, 27 or 28: what matters is which of the two recovers to our address.
        for v in (27, 28):
            try:
                if recover_signer(digest, body + bytes([v])) == self._address:
                    return body + bytes([v])
            except InvalidSignature:
                continue
        raise SignerError(
            f"the remote signer {self._name} answered with a signature that isn't {to_hex(self._address)}'s"
        )

    async def _request(self, method: str, path: str, body: Any) -> str:
        try:
            response = await self._http.request(method, self._url + path, json=body)
        except (httpx.HTTPError, OSError) as error:
            # Not chained: an exception of httpx may show the URL.
            raise SignerUnavailable(f"the remote signer {self._name} doesn't answer ({type(error).__name__})") from None
        if response.status_code == 404:
            self._identifier = None
            raise SignerError(f"the remote signer {self._name} has no key for {to_hex(self._address)}: load it there")
        if response.status_code >= 500:
            raise SignerUnavailable(f"the remote signer {self._name} failed (HTTP {response.status_code})")
        if response.status_code >= 300:
            raise SignerError(f"the remote signer {self._name} refused to sign (HTTP {response.status_code})")
        return response.text
