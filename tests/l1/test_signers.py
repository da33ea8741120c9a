from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from coincurve import PublicKey
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st
from l1.bench import Bench
from support.anvil import account

from exclave.l1 import IntentState, LocalSigner, SignerError, Web3Signer
from exclave.l1.signers import SignerUnavailable
from exclave.l1.transactions import Fees, Transaction, transaction_hash
from exclave.protocol import address_of, keccak256, sign_digest

KEY = bytes(account(1).key)
TRANSACTION = Transaction(31337, 3, Fees(10**10, 10**9), 50_000, b"\x11" * 20, 5, b"data")


def eth_account_fields(transaction: Transaction) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "type": transaction.type,
        "chainId": transaction.chain_id,
        "nonce": transaction.nonce,
        "maxFeePerGas": transaction.fees.max_fee_per_gas,
        "maxPriorityFeePerGas": transaction.fees.max_priority_fee_per_gas,
        "gas": transaction.gas_limit,
        "value": transaction.value,
        "data": transaction.data,
    }
    if transaction.to is not None:
        fields["to"] = transaction.to
    if transaction.blob_versioned_hashes:
        fields["maxFeePerBlobGas"] = transaction.fees.max_fee_per_blob_gas
        fields["blobVersionedHashes"] = list(transaction.blob_versioned_hashes)
    return fields


transactions = st.builds(
    Transaction,
    chain_id=st.integers(1, 2**52),
    nonce=st.integers(0, 2**63),
    fees=st.builds(Fees, st.integers(0, 2**128), st.integers(0, 2**100), st.integers(0, 2**100)),
    gas_limit=st.integers(21_000, 2**32),
    to=st.none() | st.binary(min_size=20, max_size=20),
    value=st.integers(0, 2**200),
    data=st.binary(max_size=300),
)


@given(transactions, st.integers(0, 3))
async def test_signs_as_eth_account_does(transaction: Transaction, blobs: int) -> None:
    if blobs:
        transaction = Transaction(
            transaction.chain_id,
            transaction.nonce,
            transaction.fees,
            transaction.gas_limit,
            transaction.to or bytes(20),
            transaction.value,
            transaction.data,
            tuple(b"\x01" + bytes([i]) * 31 for i in range(blobs)),
        )
    raw = await LocalSigner(KEY).sign_transaction(transaction)
    expected = Account.sign_transaction(eth_account_fields(transaction), KEY)
    assert raw == bytes(expected.raw_transaction)
    assert transaction_hash(raw) == bytes(expected.hash)


def test_a_key_shows_nowhere() -> None:
    signer = LocalSigner(KEY)
    assert KEY.hex() not in repr(signer)
    with pytest.raises(SignerError) as refused:
        LocalSigner(b"\xff" * 32)
    assert "ff" * 8 not in str(refused.value)


class SignerServer:
    """Speaks Web3Signer's eth1 API; `answer` may be replaced to misbehave."""

    def __init__(self, key: bytes) -> None:
        public = "0x" + PublicKey.from_secret(key).format(compressed=False)[1:].hex()
        self.signed = 0
        self.status = 200
        self.answer: Callable[[bytes], str] = lambda data: "0x" + sign_digest(keccak256(data), key).hex()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def _send(self, status: int, body: str) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def do_GET(self) -> None:
                known = self.path == "/api/v1/eth1/publicKeys"
                self._send(200 if known else 404, json.dumps([public]))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path != f"/api/v1/eth1/sign/{public}":
                    self._send(404, "no such key")
                    return
                owner.signed += 1
                self._send(owner.status, owner.answer(bytes.fromhex(body["data"][2:])))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def signer_server() -> Iterator[SignerServer]:
    server = SignerServer(KEY)
    yield server
    server.stop()


async def test_remote_signer_signs_transactions_that_l1_mines(
    bench: Callable[..., Bench], signer_server: SignerServer
) -> None:
    b = bench()
    signer = Web3Signer(signer_server.url, address_of(KEY))
    manager = await b.manager(signer=signer)
    await manager.submit(b.intent())
    assert (await b.settle(manager)).state is IntentState.CONFIRMED
    assert signer_server.signed == 1
    await signer.close()


async def test_remote_signatures_are_checked(signer_server: SignerServer) -> None:
    signer = Web3Signer(signer_server.url, address_of(KEY))
    local = await LocalSigner(KEY).sign_transaction(TRANSACTION)
    good = signer_server.answer
    assert await signer.sign_transaction(TRANSACTION) == local
    # v as 0 or 1, quoted as JSON: the same signature
    signer_server.answer = lambda data: json.dumps(good(data)[:-2] + f"{int(good(data)[-2:], 16) - 27:02x}")
    assert await signer.sign_transaction(TRANSACTION) == local
    other = bytes(account(2).key)
    for answer in (
        lambda data: "0x" + sign_digest(keccak256(data), other).hex(),  # another key
        lambda data: "0x" + sign_digest(keccak256(data + b"x"), KEY).hex(),  # another transaction
        lambda data: "0x" + "00" * 65,
        lambda data: "0x1234",
        lambda data: "<html>",
    ):
        signer_server.answer = answer
        with pytest.raises(SignerError):
            await signer.sign_transaction(TRANSACTION)
    signer_server.status = 503
    with pytest.raises(SignerUnavailable):
        await signer.sign_transaction(TRANSACTION)
    signer_server.status = 403
    with pytest.raises(SignerError, match="refused"):
        await signer.sign_transaction(TRANSACTION)
    await signer.close()


async def test_remote_signer_without_our_key_or_without_a_server(signer_server: SignerServer) -> None:
    stranger = Web3Signer(signer_server.url, b"\x22" * 20)
    with pytest.raises(SignerError, match="has no key for"):
        await stranger.sign_transaction(TRANSACTION)
    signer_server.stop()
    dead = Web3Signer(signer_server.url.replace("://", "://user:secret@") + "/path-secret", address_of(KEY))
    with pytest.raises(SignerUnavailable) as refused:
        await dead.sign_transaction(TRANSACTION)
    assert "secret" not in str(refused.value)
    await dead.close()
    await stranger.close()


async def test_an_intent_waits_for_its_signer(bench: Callable[..., Bench], signer_server: SignerServer) -> None:
    b = bench()
    signer = Web3Signer(signer_server.url, address_of(KEY))
    manager = await b.manager(signer=signer)
    signer_server.status = 503
    await manager.submit(b.intent())
    with pytest.raises(SignerUnavailable):
        await manager.step()
    signer_server.status = 200
    assert (await b.settle(manager)).state is IntentState.CONFIRMED
    assert b.counter.value() == 1
    await signer.close()
