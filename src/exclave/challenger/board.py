"""What L1 knows of disputes about a leaf, and what was shown in their course. Reads L1's newest state only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from exclave import contracts
from exclave.challenger.calls import find_calls
from exclave.challenger.strategy import ActUntil
from exclave.dispute.accounts import (
    BondAccount,
    decode_address,
    decode_flag,
    decode_stake,
    encode_bond_account,
    encode_facts,
    encode_is_slashed,
    encode_recorded_block_hash,
    encode_stake_of,
    encode_stakes,
)
from exclave.dispute.answers import ShownHashes
from exclave.dispute.payloads import (
    TOPICS,
    Dispute,
    DisputeAnswered,
    DisputeKind,
    DisputeOpened,
    DisputeRules,
    DisputeStatus,
    LeafState,
    ShownHash,
    ShownLeaf,
    encode_bond_of,
    encode_dispute_of,
    encode_leaf_state,
    encode_rules,
    read_answered_block,
    read_answered_leaf,
    read_event,
)
from exclave.l1.client import CallRequest, L1Client
from exclave.l1.payloads import encode_call, selector_of
from exclave.protocol.errors import ProtocolError
from exclave.protocol.fields import decode_abi

log = structlog.get_logger(__name__)

UNDISPUTED = LeafState(open=0, held=False, killed=False, proven_to=0, until=0)
"""Of a leaf about which nobody has ever opened anything."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered a dispute on L1, in which transaction, and when (seconds since 1970)."""

    answerer: bytes
    transaction: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class ShownBlock:
    """A claimed block as its claimant showed it: `header` is RLP."""

    parent: ShownHash
    target: ShownHash
    header: bytes
    transactions: tuple[bytes, ...]


@dataclass
class LeafBoard:
    """All disputes about a leaf that were ever opened."""

    state: LeafState
    disputes: dict[tuple[DisputeKind, int], Dispute] = field(default_factory=dict)
    answers: dict[tuple[DisputeKind, int], Answer] = field(default_factory=dict)

    def act_until(self, response_time: int) -> ActUntil:
        """Until when the answers let disputes be opened; `response_time` in seconds."""

        def latest(kinds: Sequence[DisputeKind]) -> int:
            times = [answer.timestamp for (kind, _), answer in self.answers.items() if kind in kinds]
            return max(times) + response_time if times else 0

        return ActUntil(latest([DisputeKind.LEAF]), latest([DisputeKind.HASHES]), latest([DisputeKind.BLOCK]))


class DisputeReader:
    """Reads of one dispute contract. All raise `L1Error`."""

    def __init__(self, l1: L1Client, game: bytes) -> None:
        self.game = game
        self._l1 = l1
        self._rules: DisputeRules | None = None
        self._bonds: dict[DisputeKind, int] = {}
        self._stakes: bytes | None = None
        self._facts: bytes | None = None
        self._recorded: set[int] = set()

    async def relayer(self) -> bytes:
        """Whose claims' disputes these are. Raises `UnexpectedResult` where there is no dispute contract."""
        request = CallRequest(to=self.game, data=encode_call(contracts.load("DisputeGame"), "relayer"))
        return await self._l1.call_for(request, decode_address)

    async def rules(self) -> DisputeRules:
        """Its deadlines and bonds, which never change."""
        if self._rules is None:
            self._rules = await self._l1.call_for(CallRequest(to=self.game, data=encode_rules()), DisputeRules.decode)
        return self._rules

    async def bond_of(self, kind: DisputeKind) -> int:
        """Wei that opening a dispute of this kind locks."""
        if kind not in self._bonds:
            request = CallRequest(to=self.game, data=encode_bond_of(kind))
            self._bonds[kind] = await self._l1.call_for(request, _number)
        return self._bonds[kind]

    async def account(self, account: bytes) -> BondAccount:
        """An account's deposit in the contract."""
        return await read_account(self._l1, self.game, account)

    async def stakes(self) -> bytes:
        """The address of the operators' stakes."""
        if self._stakes is None:
            request = CallRequest(to=self.game, data=encode_stakes())
            self._stakes = await self._l1.call_for(request, decode_address)
        return self._stakes

    async def facts(self) -> bytes:
        """The address of what L1 knows of its own blocks."""
        if self._facts is None:
            self._facts = await self._l1.call_for(CallRequest(to=self.game, data=encode_facts()), decode_address)
        return self._facts

    async def is_recorded(self, number: int) -> bool:
        """Whether an L1 block's hash was recorded, so that the contract knows it for ever."""
        if number not in self._recorded:
            request = CallRequest(to=await self.facts(), data=encode_recorded_block_hash(number))
            if any(await self._l1.call(request)):
                self._recorded.add(number)
        return number in self._recorded

    async def slashable(self, operator: bytes, session_id: int) -> int:
        """Wei of an operator's stake that two signatures in a session could cost him; 0 if they have already."""
        stakes = await self.stakes()
        request = CallRequest(to=stakes, data=encode_is_slashed(operator, session_id))
        if await self._l1.call_for(request, decode_flag):
            return 0
        return await self._l1.call_for(CallRequest(to=stakes, data=encode_stake_of(operator)), decode_stake)

    async def leaf_state(self, claim_id: int, index: int) -> LeafState:
        """How a leaf stands."""
        request = CallRequest(to=self.game, data=encode_leaf_state(claim_id, index))
        return await self._l1.call_for(request, LeafState.decode)

    async def boards(self, claim_id: int, since: int, head: int) -> dict[int, LeafBoard]:
        """What L1 knows of disputes about a claim's leaves, by their indices; those without any are left out. All
        happened in the blocks `since` to `head`.
        """
        topics = [list(TOPICS), [claim_id.to_bytes(32, "big")]]
        answer = await self._l1.get_logs([self.game], topics, since, head)
        boards: dict[int, LeafBoard] = {}
        times: dict[int, int] = {}
        for entry in answer.logs:
            event = read_event(entry)
            if event is None:
                continue
            index = event.index
            if index not in boards:
                boards[index] = LeafBoard(await self.leaf_state(claim_id, index))
            if isinstance(event, DisputeOpened):
                name = event.kind, event.number
                request = CallRequest(to=self.game, data=encode_dispute_of(claim_id, index, *name))
                dispute = await self._l1.call_for(request, Dispute.decode)
                if dispute.status is not DisputeStatus.NONE:
                    boards[index].disputes[name] = dispute
            elif isinstance(event, DisputeAnswered):
                if entry.block_number not in times:
                    header = await self._l1.get_block(entry.block_hash)
                    times[entry.block_number] = header.timestamp if header else 0
                when = times[entry.block_number]
                boards[index].answers[event.kind, event.number] = Answer(event.answerer, entry.transaction_hash, when)
        return boards

    # -- what answers showed ----------------------------------------------------------------------------------------

    async def shown_leaf(self, answer: Answer, claim_id: int, index: int) -> ShownLeaf | None:
        """The leaf that an answer showed, None if no endpoint shows the call."""
        for call in await self._calls(answer, "answerLeaf"):
            try:
                leaf = read_answered_leaf(call)
            except ProtocolError as error:
                log.warning("an answer can't be read", claim=claim_id, leaf=index, reason=str(error))
                continue
            if (leaf.name.claim_id, leaf.name.index) == (claim_id, index):
                return leaf
        return None

    async def shown_hashes(self, answer: Answer, claim_id: int, index: int, position: int) -> ShownHashes | None:
        """The hashes that an answer showed, None if no endpoint shows the call."""
        for call in await self._calls(answer, "answerHashes"):
            try:
                shown = ShownHashes.read(call)
            except ProtocolError as error:
                log.warning("an answer can't be read", claim=claim_id, leaf=index, reason=str(error))
                continue
            if (shown.leaf.name.claim_id, shown.leaf.name.index, shown.position) == (claim_id, index, position):
                return shown
        return None

    async def shown_block(self, answer: Answer, claim_id: int, index: int, number: int) -> ShownBlock | None:
        """The block that an answer showed, None if no endpoint shows the call, or it was answered by a proof."""
        for call in await self._calls(answer, "answerBlock"):
            try:
                leaf, parent, target, header, transactions = read_answered_block(call)
            except ProtocolError as error:
                log.warning("an answer can't be read", claim=claim_id, leaf=index, reason=str(error))
                continue
            if (leaf.name.claim_id, leaf.name.index, target.number) == (claim_id, index, number):
                return ShownBlock(parent, target, header, tuple(transactions))
        return None

    async def _calls(self, answer: Answer, function: str) -> list[bytes]:
        selector = _selector(function)
        return await find_calls(self._l1, answer.transaction, self.game, selector)


async def read_account(l1: L1Client, contract: bytes, account: bytes) -> BondAccount:
    """An account's deposit in a contract that keeps bonds. Raises `L1Error`."""
    return await l1.call_for(CallRequest(to=contract, data=encode_bond_account(account)), BondAccount.decode)


def _selector(function: str) -> bytes:
    return selector_of(contracts.load("DisputeGame"), function)


def _number(data: bytes) -> int:
    (value,) = decode_abi(["uint256"], data)
    return int(value)
