"""Reads of dispute contracts at L1's newest block. All raise `L1Error`."""

from __future__ import annotations

from exclave.dispute import accounts, payloads
from exclave.dispute.payloads import Dispute, DisputeKind, LeafState
from exclave.l1.client import CallRequest, L1Client
from exclave.protocol.fields import decode_abi


class DisputeReader:
    """One dispute contract's state."""

    def __init__(self, l1: L1Client, contract: bytes) -> None:
        self._l1 = l1
        self._contract = contract

    async def leaf_state(self, claim_id: int, index: int) -> LeafState:
        """How a leaf stands there."""
        return await self._l1.call_for(self._call(payloads.encode_leaf_state(claim_id, index)), LeafState.decode)

    async def dispute(self, claim_id: int, index: int, kind: DisputeKind, number: int) -> Dispute:
        """One dispute."""
        call = self._call(payloads.encode_dispute_of(claim_id, index, kind, number))
        return await self._l1.call_for(call, Dispute.decode)

    async def available_deposit(self, account: bytes) -> int:
        """Wei that the account can withdraw."""

        def read(answer: bytes) -> int:
            available, _locked = decode_abi(["uint256", "uint256"], answer)
            return int(available)

        return await self._l1.call_for(self._call(accounts.encode_bond_account(account)), read)

    def _call(self, data: bytes) -> CallRequest:
        return CallRequest(to=self._contract, data=data)
