"""Lies about a session: blocks that are wrong in one place, and whose headers fit together all the same. No I/O."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from exclave import _engine
from exclave.challenger.execution import Chain, Executor
from exclave.fault.errors import FaultError
from exclave.protocol import (
    BlockData,
    Header,
    SessionClaim,
    SessionData,
    address_of,
    block_hashes_root,
    encode_batch_data,
    init_message,
    keccak256,
    sign_digest,
)
from exclave.protocol.constants import EMPTY_TRIE_ROOT, SYSTEM_TRANSACTION_TYPE
from exclave.protocol.fields import decode_rlp, encode_rlp
from exclave.store import Session

NOISE: Final = keccak256(b"exclave fault")
"""What stands where something true should."""

_SIGNED_TYPES: Final = (1, 2, 4)
"""Envelopes of transactions whose last three fields are the signature."""


@dataclass(frozen=True, slots=True)
class ClaimedBlock:
    """A block as it is claimed: `header` is RLP."""

    header: bytes
    transactions: tuple[bytes, ...]

    @property
    def hash(self) -> bytes:
        """The block's hash."""
        return keccak256(self.header)


@dataclass(frozen=True, slots=True)
class Lie:
    """A claim of a whole session and all that can be shown of it. `hashes` are of block 0 and `blocks`."""

    claim: SessionClaim
    root: bytes
    hashes: tuple[bytes, ...]
    blocks: tuple[ClaimedBlock, ...]
    data: bytes

    def block(self, number: int) -> ClaimedBlock:
        """A block that isn't block 0."""
        return self.blocks[number - 1]


def truth(chain: Chain) -> Lie:
    """What an honest operator claims of a session."""
    return _of(chain, [ClaimedBlock(block.header, block.transactions) for block in chain.blocks])


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a lie is about: a session that has ended. `key` is the adversary's, `now` L1's time (seconds since 1970)."""

    chain: Chain
    executor: Executor
    key: bytes
    now: int


def forge(name: str, at: Occasion) -> Lie:
    """The lie of that name (`table.FAULTS`).

    Raises `FaultError` when the session gives no occasion.
    """
    if not at.chain.ended:
        raise FaultError(f"session {at.chain.session.session_id} hasn't ended: play it to its end first")
    return FORGERIES[name](at)


# -- one forgery each ---------------------------------------------------------------------------------------------


def _forged_state(at: Occasion) -> Lie:
    return _with_header(at.chain, _middle(at.chain), state_root=NOISE)


def _forged_result(at: Occasion) -> Lie:
    return _claiming(truth(at.chain), result_hash=NOISE)


def _wrong_init(at: Occasion) -> Lie:
    """Block 0 is the true one; block 1 begins with an init message that L1 never sent."""
    session = at.chain.session
    players = (*session.players, address_of(at.key))
    assert session.seed is not None and session.genesis_hash is not None, "it was executed"
    message = init_message(
        session.chain_id,
        session.config_hash,
        session.session_id,
        session.deadline,
        session.seed,
        players,
        session.init_data,
    ).encode_transaction()
    blocks = [BlockData(block.timestamp, block.transactions) for block in at.chain.blocks]
    blocks[0] = BlockData(blocks[0].timestamp, (message, *blocks[0].transactions[1:]))
    other = at.executor.extend(Chain(_with_players(session, players), session.genesis_hash), blocks)
    made = [ClaimedBlock(block.header, block.transactions) for block in other.blocks]
    return _of(at.chain, _relinked(made, session.genesis_hash))


def _wrong_sender(at: Occasion) -> Lie:
    """The state is as if the player had sent it; the signature is the adversary's."""
    for number in range(at.chain.last_number, 0, -1):
        transactions = list(at.chain.blocks[number - 1].transactions)
        for index in reversed(range(len(transactions))):
            if transactions[index][0] in _SIGNED_TYPES:
                transactions[index] = _signed_again(transactions[index], at.key)
                root = _engine.ordered_trie_root(transactions)
                return _with_header(at.chain, number, tuple(transactions), transactions_root=root)
    raise FaultError("no player has sent a transaction of type 1, 2 or 4 in this session")


def _wrong_timestamp(at: Occasion) -> Lie:
    return _with_header(at.chain, _middle(at.chain), timestamp=at.chain.session.opened_at - 1)


def _wrong_inbox(at: Occasion) -> Lie:
    return _with_header(at.chain, _middle(at.chain), parent_beacon_block_root=NOISE)


def _unsettleable(at: Occasion) -> Lie:
    """Its time is what L1 compares at the settlement, so that nobody has to oppose it."""
    return _with_header(at.chain, at.chain.last_number, timestamp=at.chain.session.opened_at - 1)


def _continued_after_end(at: Occasion) -> Lie:
    """One more block with the last one's transactions, and the state as it was."""
    honest = truth(at.chain)
    last = honest.blocks[-1]
    header = dataclasses.replace(
        Header.decode(last.header),
        parent_hash=last.hash,
        number=at.chain.last_number + 1,
        receipts_root=EMPTY_TRIE_ROOT,
        logs_bloom=bytes(256),
        gas_used=0,
    )
    return _of(at.chain, [*honest.blocks, ClaimedBlock(header.encode(), last.transactions)])


def _garbage_root(at: Occasion) -> Lie:
    return dataclasses.replace(truth(at.chain), root=NOISE)


def _true(at: Occasion) -> Lie:
    return truth(at.chain)


def _data_of_nothing(at: Occasion) -> Lie:
    return dataclasses.replace(truth(at.chain), data=NOISE)


def _censored(at: Occasion) -> Lie:
    """The same transactions of players, without what was forced through L1 after the init message. The last block is
    of now: a message that was due by then is left out for good.
    """
    if at.chain.blocks[-1].inbox_count == 0:
        raise FaultError("nothing was forced into this session: `exclave player force` does")
    blocks: list[BlockData] = []
    for block in at.chain.blocks:
        kept = tuple(
            raw
            for index, raw in enumerate(block.transactions)
            if raw[0] != SYSTEM_TRANSACTION_TYPE or (block.number == 1 and index == 0)
        )
        if kept:
            blocks.append(BlockData(block.timestamp, kept))
    blocks[-1] = BlockData(at.now, blocks[-1].transactions)
    return truth(at.executor.extend(at.chain.cut(0), blocks))


FORGERIES: Final[dict[str, Callable[[Occasion], Lie]]] = {
    "forged-state": _forged_state,
    "forged-result": _forged_result,
    "self-challenge": _forged_result,
    "wrong-init": _wrong_init,
    "wrong-sender": _wrong_sender,
    "wrong-timestamp": _wrong_timestamp,
    "wrong-inbox": _wrong_inbox,
    "continued-after-end": _continued_after_end,
    "unsettleable": _unsettleable,
    "garbage-root": _garbage_root,
    "withheld-data": _data_of_nothing,
    "garbage-blob": _data_of_nothing,
    "late-claim": _true,
    "censorship": _censored,
}


# -- what they share ------------------------------------------------------------------------------------------------


def _middle(chain: Chain) -> int:
    """A block that isn't the last one: what L1 itself compares is of that one. A session of one block has no other."""
    return max(chain.last_number // 2, 1)


def _with_header(
    chain: Chain,
    number: int,
    transactions: tuple[bytes, ...] | None = None,
    **changes: Any,
) -> Lie:
    """The session with another header in one block, and those after it linked to it."""
    blocks = list(truth(chain).blocks)
    block = blocks[number - 1]
    forged = dataclasses.replace(Header.decode(block.header), **changes).encode()
    blocks[number - 1] = ClaimedBlock(forged, block.transactions if transactions is None else transactions)
    return _of(chain, _relinked(blocks, chain.genesis_hash))


def _relinked(blocks: list[ClaimedBlock], genesis: bytes) -> list[ClaimedBlock]:
    """The blocks, each naming the one before as its parent."""
    made: list[ClaimedBlock] = []
    for block in blocks:
        parent = made[-1].hash if made else genesis
        header = dataclasses.replace(Header.decode(block.header), parent_hash=parent)
        made.append(ClaimedBlock(header.encode(), block.transactions))
    return made


def _of(chain: Chain, blocks: list[ClaimedBlock]) -> Lie:
    """The claim of these blocks. All that it says is in the last header, but for the result, which is the game's."""
    honest = chain.claim(0, chain.last_number)
    hashes = (chain.genesis_hash, *(block.hash for block in blocks))
    last = Header.decode(blocks[-1].header)
    claim = dataclasses.replace(
        honest,
        last_number=len(blocks),
        last_hash=hashes[-1],
        block_hashes_root=block_hashes_root(list(hashes)),
        last_timestamp=last.timestamp,
        inbox_hash=last.parent_beacon_block_root,
    )
    return Lie(claim, claim.leaf(), hashes, tuple(blocks), _data(chain.session, blocks))


def _claiming(lie: Lie, **changes: Any) -> Lie:
    claim = dataclasses.replace(lie.claim, **changes)
    return dataclasses.replace(lie, claim=claim, root=claim.leaf())


def _data(session: Session, blocks: list[ClaimedBlock]) -> bytes:
    described = tuple(BlockData(Header.decode(block.header).timestamp, block.transactions) for block in blocks)
    return encode_batch_data([SessionData(session.session_id, 0, described)])


def _with_players(session: Session, players: tuple[bytes, ...]) -> Session:
    return dataclasses.replace(session, players=players)


def _signed_again(raw: bytes, key: bytes) -> bytes:
    """The same typed transaction with another signature."""
    fields = decode_rlp(raw[1:], "transaction")
    assert isinstance(fields, list), "the block is valid"
    signature = sign_digest(keccak256(raw[:1] + encode_rlp(fields[:-3])), key)
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    return raw[:1] + encode_rlp([*fields[:-3], signature[64] - 27, r, s])
