"""What a player does with two signatures of one block: they cost the operator his stake."""

from __future__ import annotations

from exclave.client.errors import ClientError, Equivocation
from exclave.client.opening import SessionOpening
from exclave.dispute.accounts import decode_address, encode_report_equivocation, encode_stakes
from exclave.l1.client import CallRequest, L1Client
from exclave.l1.signers import Signer
from exclave.l1.single import send
from exclave.l1.values import L1Receipt


async def report_equivocation(
    l1: L1Client, signer: Signer, opening: SessionOpening, evidence: Equivocation
) -> L1Receipt:
    """Show L1 both signatures. What isn't burnt of the stake goes to `signer`'s deposit in `OperatorStakes`.

    Raises `ClientError` where the session's terms name no dispute contract, `TransactionFailed`, and `L1Error`: also
    when somebody has reported this operator for this session before.
    """
    game = opening.terms.dispute_game
    if not any(game):
        raise ClientError("the session's terms name no dispute contract: the operator has no stake in it")
    stakes = await l1.call_for(CallRequest(to=game, data=encode_stakes()), decode_address)
    return await send(l1, signer, stakes, encode_report_equivocation(evidence.one, evidence.other))
