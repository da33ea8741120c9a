"""What is to be done about one leaf of a claim, derived from what is known of it now. No I/O.

The same question is asked again and again: `plan` looks at L1's state and at what was executed here, and remembers
nothing, so that restarts and reorgs of L1 change no decision but those that they should.

A wrong leaf is narrowed down as cheaply as L1 allows, and nothing is bet where it could be lost: a block that isn't the
one that was published is demanded first, because its claimant may hold another valid one. Only a block that is known to
be invalid is challenged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from exclave.challenger.execution import Chain
from exclave.dispute.answers import ClaimedHashes
from exclave.dispute.payloads import (
    HASHES_TOGETHER,
    Dispute,
    DisputeKind,
    DisputeStatus,
    LeafContent,
    LeafName,
    LeafState,
    Opening,
    ShownHash,
    ShownLeaf,
    encode_challenge,
    encode_demand_block,
    encode_demand_hashes,
    encode_demand_leaf,
    encode_disprove_genesis,
    encode_disprove_range,
    encode_disprove_seed,
    encode_reclaim,
    encode_resolve,
)
from exclave.protocol import Terms
from exclave.protocol.constants import ZERO_HASH
from exclave.store import Session

MAX_POSITIONS: Final = 64
"""Groups of hashes that are demanded of one leaf: 65,536 blocks, more than a match has."""


class LeafVerdict(StrEnum):
    """How a leaf stands."""

    RIGHT = "right"
    HARMLESS = "harmless"  # L1 itself won't let it settle
    DOUBTFUL = "doubtful"  # what it says isn't known yet
    WRONG = "wrong"
    LOST = "lost"  # a proof has answered what was challenged
    STUCK = "stuck"  # it can't be judged, or nothing can be done any more
    DEAD = "dead"  # a dispute was won against it


class BlockVerdict(StrEnum):
    """What became of the demand for a block."""

    INVALID = "invalid"
    UNREADABLE = "unreadable"  # answered, by a proof or by a call that no endpoint shows


@dataclass(frozen=True, slots=True)
class Step:
    """A call of the dispute contract. `name` is unique among the steps about a leaf; `bond`: the kind whose bond must
    be sent along; `until`: the last L1 second at which it is of use.
    """

    name: str
    data: bytes
    bond: DisputeKind | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Refutation:
    """A proof of block `proven` kills the leaf: it is the `challenged` one, or the one before it, where that ended the
    session.
    """

    challenged: int
    proven: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps that are due now, and why. `refutation`: what kills the leaf without a delay, if it can be proven."""

    verdict: LeafVerdict
    reason: str
    steps: tuple[Step, ...] = ()
    refutation: Refutation | None = None


@dataclass(frozen=True, slots=True)
class ActUntil:
    """Until when answers let disputes be opened, by the kind that was answered (seconds since 1970, 0: none was)."""

    leaf: int = 0
    hashes: int = 0
    blocks: int = 0

    def of(self, kind: DisputeKind) -> int:
        """Until when a dispute of this kind can be opened, the claim's window aside."""
        until = 0
        if kind > DisputeKind.LEAF:
            until = max(until, self.leaf)
        if kind > DisputeKind.HASHES:
            until = max(until, self.hashes)
        if kind > DisputeKind.BLOCK:
            until = max(until, self.blocks)
        return until


@dataclass(frozen=True)
class LeafView:
    """All that is known of a leaf. Times in seconds since 1970.

    `me`: who opens disputes. `shown`: the leaf's content, None while it isn't known. `session`: which one it names,
    None for none that could be settled by it. `obstacle`: why L1 won't settle it, for good. `chain`: the session as far
    as it was executed, along the claimed hashes as far as they are known to be right. `l1_header`: RLP of the L1 block
    that the seed comes from, None when it is too old to be used.
    """

    name: LeafName
    terms: Terms
    me: bytes
    now: int
    window_end: int
    state: LeafState
    disputes: Mapping[tuple[DisputeKind, int], Dispute]
    act_until: ActUntil
    shown: ShownLeaf | None = None
    unreadable: bool = False
    session: Session | None = None
    obstacle: str | None = None
    chain: Chain | None = None
    opening: Opening | None = None
    l1_header: bytes | None = None
    hashes: ClaimedHashes | None = None
    blocks: Mapping[int, BlockVerdict] = field(default_factory=dict)

    def status(self, kind: DisputeKind, number: int) -> DisputeStatus:
        """How the dispute of this kind and number stands, whoever opened it."""
        dispute = self.disputes.get((kind, number))
        return dispute.status if dispute else DisputeStatus.NONE

    def opens_until(self, kind: DisputeKind) -> int:
        """The last second at which a dispute of this kind can be opened."""
        return max(self.window_end, self.act_until.of(kind))


def plan(view: LeafView) -> Plan:
    """What to do about a leaf now."""
    if view.state.killed:
        return Plan(LeafVerdict.DEAD, "a dispute was won against it", _reclaims(view))
    found = _assess(view)
    if found.verdict in (LeafVerdict.RIGHT, LeafVerdict.HARMLESS):
        # A dispute of ours may have run out all the same: what isn't answered is dead, which gives the bond back.
        return Plan(found.verdict, found.reason, _resolution(view, ours_only=True))
    resolution = _resolution(view, ours_only=False)
    return dataclasses.replace(found, steps=resolution or found.steps)


def _reclaims(view: LeafView) -> tuple[Step, ...]:
    name = view.name
    return tuple(
        Step(f"reclaim:{kind}:{number}", encode_reclaim(name.claim_id, name.index, kind, number))
        for (kind, number), dispute in sorted(view.disputes.items())
        if dispute.status is DisputeStatus.OPEN and dispute.opener == view.me
    )


def _resolution(view: LeafView, *, ours_only: bool) -> tuple[Step, ...]:
    """The end of a dispute that wasn't answered, ours before others': its opener gets a share of the claim's bond."""
    expired = [
        (dispute.opener != view.me, kind, number)
        for (kind, number), dispute in view.disputes.items()
        if dispute.status is DisputeStatus.OPEN and view.now > dispute.deadline
    ]
    for foreign, kind, number in sorted(expired):
        if foreign and ours_only:
            continue
        return (Step(f"resolve:{kind}:{number}", encode_resolve(view.name, kind, number)),)
    return ()


def _assess(view: LeafView) -> Plan:
    if view.shown is None:
        if view.unreadable:
            return Plan(LeafVerdict.STUCK, "it was shown, but no L1 endpoint shows the call: one that traces helps")
        return _demand(view, DisputeKind.LEAF, 0, encode_demand_leaf(view.name), "what it says isn't known")
    shown, content = view.shown, view.shown.content
    if view.session is None:
        return Plan(LeafVerdict.HARMLESS, "it names no open session of these terms")
    if view.obstacle is not None:
        return Plan(LeafVerdict.HARMLESS, view.obstacle)
    if content.last_number <= content.first_number:
        nothing = ShownHash(0, ZERO_HASH, ())
        return _disproof(view, "range", encode_disprove_range(shown, view.terms, nothing), "it has no transition")
    if view.chain is None or view.opening is None or view.session.seed is None:
        return Plan(LeafVerdict.STUCK, "its session can't be executed here: its template isn't known")
    if content.seed != view.session.seed:
        if view.l1_header is None:
            return Plan(LeafVerdict.STUCK, "its seed is wrong, but L1 has forgotten the block that shows it")
        config = view.session.configuration()
        data = encode_disprove_seed(shown, view.terms, config, view.l1_header)
        return _disproof(view, "seed", data, "its seed isn't that of L1")
    return _compare(view, shown, content, view.chain)


def _compare(view: LeafView, shown: ShownLeaf, content: LeafContent, chain: Chain) -> Plan:
    first, last = content.first_number, content.last_number
    if last <= chain.last_number:
        expected = LeafContent.of(chain.claim(first, last))
        if expected == content:
            return Plan(LeafVerdict.RIGHT, "it says what execution gives")
        if expected.block_hashes_root == content.block_hashes_root:
            return _compare_end(view, shown, expected, chain.hashes(first, last))
    if first > chain.last_number:
        return Plan(LeafVerdict.STUCK, f"it starts at block {first}, which no claim that was read reaches")
    hashes = view.hashes
    reach = min(last, chain.last_number + 1)
    wanted = (reach - first) // HASHES_TOGETHER + 1
    if wanted > MAX_POSITIONS:
        return Plan(LeafVerdict.STUCK, f"it has {last - first + 1} blocks, which are too many to be looked at")
    missing = [position for position in range(wanted) if hashes is None or not hashes.knows(position)]
    if missing:
        return _demand_hashes(view, shown, missing)
    assert hashes is not None, "none is missing"
    for number in range(first, reach + 1):
        if hashes.get(number) != chain.hash_of(number):
            return _difference(view, shown, chain, hashes, number)
    return Plan(LeafVerdict.STUCK, "its hashes are right, and its root isn't: that can't be")


def _compare_end(view: LeafView, shown: ShownLeaf, expected: LeafContent, hashes: list[bytes]) -> Plan:
    """All blocks are right, but not all that the leaf says of the last."""
    content = shown.content
    last = content.last_number
    end = ShownHash.of(hashes, content.first_number, last)
    if content.last_hash != expected.last_hash:
        return _disproof(
            view, "range", encode_disprove_range(shown, view.terms, end), "its last hash isn't its last block's"
        )
    if (content.result_hash, content.inbox_hash, content.last_timestamp) == (
        expected.result_hash,
        expected.inbox_hash,
        expected.last_timestamp,
    ):
        # INVARIANT I1: L1 compares the accumulator at this count with the leaf's, which is another count's.
        return Plan(LeafVerdict.HARMLESS, "its count of messages isn't that of its inbox hash")
    parent = ShownHash.of(hashes, content.first_number, last - 1)
    reason = (
        "its result isn't the game's" if content.result_hash != expected.result_hash else "its end isn't the chain's"
    )
    return _challenge(view, shown, parent, end, reason)


def _demand_hashes(view: LeafView, shown: ShownLeaf, missing: list[int]) -> Plan:
    """All at once: once one is answered, there may be no time to demand another."""
    steps: list[Step] = []
    reason = "its blocks aren't the ones that are known, and their hashes are needed"
    for position in missing:
        made = _demand(view, DisputeKind.HASHES, position, encode_demand_hashes(shown, position), reason)
        if made.verdict is LeafVerdict.STUCK:
            return made
        steps += made.steps
    return Plan(LeafVerdict.DOUBTFUL, reason, tuple(steps))


def _difference(view: LeafView, shown: ShownLeaf, chain: Chain, hashes: ClaimedHashes, number: int) -> Plan:
    """The first block that isn't the one that is known."""
    content = shown.content
    if number == content.first_number:
        if number:
            return Plan(LeafVerdict.STUCK, f"it starts at a block {number} that no claim that was read ends with")
        assert view.session is not None and view.opening is not None, "the session can be executed"
        config = view.session.configuration()
        data = encode_disprove_genesis(shown, view.terms, config, view.opening, hashes.show(0))
        return _disproof(view, "genesis", data, "its block 0 isn't the session's")
    parent, target = hashes.show(number - 1), hashes.show(number)
    if chain.ended and number == chain.last_number + 1:
        return _challenge(view, shown, parent, target, f"block {number} follows the session's end", number - 1)
    if number <= view.state.proven_to:
        return Plan(LeafVerdict.STUCK, f"block {number} was proven, but isn't known: what follows can't be judged")
    verdict = view.blocks.get(number)
    if verdict is BlockVerdict.INVALID:
        return _challenge(view, shown, parent, target, f"block {number} isn't valid")
    reason = f"block {number} isn't the one that is known"
    if verdict is BlockVerdict.UNREADABLE:
        return Plan(LeafVerdict.STUCK, f"{reason}; it was answered for, but no L1 endpoint shows how")
    status = view.status(DisputeKind.BLOCK, number)
    if status is DisputeStatus.NONE and view.now > view.opens_until(DisputeKind.BLOCK):
        # Too late for a demand: what is left is to have it proven.
        return _challenge(view, shown, parent, target, reason)
    return _demand(view, DisputeKind.BLOCK, number, encode_demand_block(shown, number), reason)


def _demand(view: LeafView, kind: DisputeKind, number: int, data: bytes, reason: str) -> Plan:
    match view.status(kind, number):
        case DisputeStatus.OPEN:
            return Plan(LeafVerdict.DOUBTFUL, f"{reason}; the answer is awaited")
        case DisputeStatus.CLOSED:
            return Plan(LeafVerdict.STUCK, f"{reason}; it was answered, but no L1 endpoint shows how")
    until = view.opens_until(kind)
    if view.now > until:
        return Plan(LeafVerdict.STUCK, f"{reason}, and it is too late to demand it")
    return Plan(LeafVerdict.DOUBTFUL, reason, (Step(f"demand:{kind}:{number}", data, kind, until),))


def _challenge(
    view: LeafView,
    shown: ShownLeaf,
    parent: ShownHash,
    target: ShownHash,
    reason: str,
    proven: int | None = None,
) -> Plan:
    """`proven`: the block of which a proof refutes the leaf, where it isn't the challenged one."""
    number, kind = target.number, DisputeKind.CHALLENGE
    refutation = Refutation(number, number if proven is None else proven)
    match view.status(kind, number):
        case DisputeStatus.OPEN:
            return Plan(LeafVerdict.WRONG, f"{reason}; a proof is awaited", (), refutation)
        case DisputeStatus.CLOSED:
            return Plan(LeafVerdict.LOST, f"{reason}, but a proof says otherwise: is this the right version?")
    until = view.opens_until(kind)
    if view.now > until:
        return Plan(LeafVerdict.STUCK, f"{reason}, and it is too late to challenge it", (), refutation)
    step = Step(f"demand:{kind}:{number}", encode_challenge(shown, parent, target), kind, until)
    return Plan(LeafVerdict.WRONG, reason, (step,), refutation)


def _disproof(view: LeafView, what: str, data: bytes, reason: str) -> Plan:
    if view.now > view.window_end and not view.state.held:
        return Plan(LeafVerdict.STUCK, f"{reason}, and it is too late to show that")
    return Plan(LeafVerdict.WRONG, reason, (Step(f"disprove:{what}", data),))
