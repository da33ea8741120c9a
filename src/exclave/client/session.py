"""A session as its player has it: transactions, signed receipts, and the evidence that they are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exclave.client.errors import ClientError, Equivocation, NotSigned
from exclave.client.log import LoggedBlock, write_log
from exclave.client.opening import SessionOpening
from exclave.client.payloads import encode_force
from exclave.dispute.payloads import SignedBlock
from exclave.l1.client import L1Client
from exclave.l1.signers import Signer
from exclave.l1.single import send
from exclave.l1.values import L1Receipt
from exclave.protocol import InvalidSignature, preconfirmation_digest, recover_signer
from exclave.protocol.constants import MAX_MESSAGE_GAS
from exclave.rpc.client import RpcClient


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction: in which block, whether it succeeded, and what the operator signed of that block.
    `raw` is the node's JSON.
    """

    transaction_hash: bytes
    block_number: int
    success: bool
    signed: SignedBlock
    raw: Mapping[str, Any]


class SessionClient:
    """Plays one session through an operator's node.

    Every signature is checked against the operator that the session's terms name, and kept. To trust nobody, check the
    opening on L1 first (`opening.check_on_l1`), and give a file to keep signatures in, over restarts.
    """

    def __init__(self, url: str, opening: SessionOpening, keep: Path | None = None) -> None:
        """`url` is that of the node. Raises `ClientError` for a file with signatures of something else, `Equivocation`
        if it has two for one block.
        """
        self.opening = opening
        self._node = RpcClient(url)
        self._session = RpcClient(f"{url.rstrip('/')}/session/{opening.session_id}", timeout=60)
        self._keep = keep
        self._signed: dict[int, SignedBlock] = {}
        if keep is not None and keep.exists():
            text = keep.read_text(encoding="ascii")
            whole, _, torn = text.rpartition("\n")
            if torn:  # the process died while it wrote the line, and before the signature was reported
                os.truncate(keep, len(whole) + 1 if whole else 0)
            for line in whole.splitlines():
                self._remember(_read_signed(line))

    @classmethod
    def connect(
        cls,
        url: str,
        session_id: int,
        *,
        zk_relayer: bytes | None = None,
        l1_chain_id: int | None = None,
        keep: Path | None = None,
    ) -> SessionClient:
        """From what the node says of the session. `zk_relayer` and `l1_chain_id` should be the player's own knowledge;
        without them the node is believed. Raises `RpcFailure`, `WrongSession`.
        """
        node = RpcClient(url)
        info = node.call("zkcop_nodeInfo")
        relayer = zk_relayer or bytes.fromhex(info["zkRelayer"][2:])
        chain = l1_chain_id or int(info["l1ChainId"], 16)
        opening = SessionOpening.from_answer(node.call("zkcop_getSession", session_id), chain, relayer)
        return cls(url, opening, keep)

    @property
    def signed(self) -> Mapping[int, SignedBlock]:
        """The operator's signatures that were seen, by block."""
        return dict(self._signed)

    def send(self, raw: bytes) -> Receipt:
        """Send a signed transaction and wait for its receipt. Raises `RpcFailure`, `NotSigned`, `Equivocation`."""
        return self._receipt(self._session.call("eth_sendRawTransactionSync", "0x" + raw.hex()))

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """The receipt of a transaction, None while there is none. Raises as `send`."""
        found = self._session.call("eth_getTransactionReceipt", "0x" + transaction_hash.hex())
        return None if found is None else self._receipt(found)

    def nonce(self, account: bytes) -> int:
        """The next nonce of an account in the session."""
        return int(self._session.call("eth_getTransactionCount", "0x" + account.hex(), "latest"), 16)

    def call(self, method: str, *params: Any) -> Any:
        """Any JSON-RPC method of the session. Raises `RpcFailure`."""
        return self._session.call(method, *params)

    def blocks(self) -> Iterator[LoggedBlock]:
        """All blocks so far, as the node has them. Raises `RpcFailure`, `WrongSession`."""
        number = 1
        while True:
            page = self._node.call("zkcop_getRawBlocks", self.opening.session_id, number)
            for answer in page:
                yield LoggedBlock.from_answer(answer)
            if not page:
                return
            number += len(page)

    def template(self) -> bytes:
        """The file of the session's template, unchecked. Raises `RpcFailure`."""
        answer = self._node.call("zkcop_getTemplate", "0x" + self.opening.config.template_id.hex())
        return bytes.fromhex(answer["data"][2:])

    def export(self, path: Path) -> int:
        """Write the session's log (`exclave.client.log`), executed again meanwhile; returns how many blocks it has.

        Raises `RpcFailure`, `WrongSession`, `NotSigned`, `OSError`, and `Equivocation` if a block isn't the one that
        was signed before.
        """

        def seen() -> Iterator[LoggedBlock]:
            for block in self.blocks():
                self._keep_signature(
                    SignedBlock(self.opening.session_id, block.number, block.hash, block.preconfirmation)
                )
                yield block

        return write_log(path, self.opening, self.template(), seen())

    async def force(
        self, l1: L1Client, signer: Signer, to: bytes, data: bytes, gas_limit: int = MAX_MESSAGE_GAS
    ) -> L1Receipt:
        """Put a call into the session through L1, past an operator who doesn't take it.

        Raises `TransactionFailed`, `L1Error`.
        """
        payload = encode_force(self.opening, to, gas_limit, data)
        return await send(l1, signer, self.opening.zk_relayer, payload)

    # -- signatures -------------------------------------------------------------------------------------------------

    def _receipt(self, raw: Mapping[str, Any]) -> Receipt:
        signed = _signed_of(raw.get("preconfirmation"))
        number, block_hash = int(raw["blockNumber"], 16), bytes.fromhex(raw["blockHash"][2:])
        if signed is None or (signed.session_id, signed.number, signed.block_hash) != (
            self.opening.session_id,
            number,
            block_hash,
        ):
            raise NotSigned(f"block {number} comes without the operator's signature of it")
        self._keep_signature(signed)
        return Receipt(bytes.fromhex(raw["transactionHash"][2:]), number, int(raw["status"], 16) == 1, signed, raw)

    def _keep_signature(self, signed: SignedBlock) -> None:
        """Check it, and keep it on disk before it is reported."""
        if self._signed.get(signed.number) == signed:
            return
        try:
            self._remember(signed)
        except Equivocation:
            self._write(signed)  # the evidence most of all
            raise
        self._write(signed)

    def _write(self, signed: SignedBlock) -> None:
        if self._keep is not None:
            with self._keep.open("a", encoding="ascii") as file:
                file.write(_write_signed(signed) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def _remember(self, signed: SignedBlock) -> None:
        opening = self.opening
        if signed.session_id != opening.session_id:
            raise ClientError(f"a signature of session {signed.session_id} among those of {opening.session_id}")
        digest = preconfirmation_digest(
            opening.l1_chain_id, opening.zk_relayer, signed.session_id, signed.number, signed.block_hash
        )
        try:
            signer = recover_signer(digest, signed.signature)
        except InvalidSignature as error:
            raise NotSigned(f"block {signed.number} isn't signed: {error}") from error
        if signer != opening.terms.operator:
            raise NotSigned(f"block {signed.number} is signed by 0x{signer.hex()}, not by the operator")
        known = self._signed.setdefault(signed.number, signed)
        if known.block_hash != signed.block_hash:
            raise Equivocation(known, signed)


def _signed_of(answer: Any) -> SignedBlock | None:
    """A preconfirmation as receipts have it."""
    try:
        return SignedBlock(
            int(answer["sessionId"]),
            int(answer["number"]),
            bytes.fromhex(answer["blockHash"][2:]),
            bytes.fromhex(answer["signature"][2:]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _write_signed(signed: SignedBlock) -> str:
    return json.dumps(
        {
            "sessionId": signed.session_id,
            "number": signed.number,
            "blockHash": "0x" + signed.block_hash.hex(),
            "signature": "0x" + signed.signature.hex(),
        }
    )


def _read_signed(line: str) -> SignedBlock:
    try:
        found = _signed_of(json.loads(line))
    except ValueError:
        found = None
    if found is None:
        raise ClientError("the file of signatures is damaged")
    return found
