"""What is known of one leaf: from the review, from nodes, and from what was shown on L1."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from exclave.challenger.board import DisputeReader, LeafBoard
from exclave.challenger.execution import Chain, Executor, NotExecutable
from exclave.challenger.review import Review, Reviewer
from exclave.challenger.strategy import BlockVerdict, LeafView
from exclave.dispute.answers import ClaimedHashes
from exclave.dispute.payloads import DisputeKind, LeafContent, LeafName, Opening, ShownLeaf
from exclave.l1.client import L1Client
from exclave.l1.values import L1Header
from exclave.protocol import ClaimHeader, SessionClaim, Terms, block_hashes_root, keccak256, merkle_root
from exclave.protocol.errors import ProtocolError
from exclave.rpc.client import RpcClient, RpcFailure
from exclave.store import Claim, Session, Store

log = structlog.get_logger(__name__)

ASK_AGAIN = 60.0
"""Seconds after which nodes that didn't tell a claim's leaves are asked again."""

RECORD_SEEDS_AFTER = 4000
"""L1 blocks after which L1 is asked to remember a seed's block: most sessions are over by then."""

OLDEST_SEED_BLOCK = 8000
"""L1 blocks after which the contract can't look up a block's hash any more, less some (EIP-2935)."""


@dataclass
class Watched:
    """A claim under review. `next_try`: when its data is looked for again (the store's clock)."""

    claim: Claim
    header: ClaimHeader
    review: Review | None = None
    next_try: float = 0.0
    tries: int = 0
    told: bool = False
    warned: bool = False
    reviewing: asyncio.Task[Review] | None = None
    ask_again: float = 0.0
    leaves: tuple[SessionClaim, ...] | None = None
    """All of its leaves, under its root, as the operator's node told them."""

    @property
    def window_end(self) -> int:
        return self.header.claimed_at + self.header.challenge_window

    @property
    def header_hash(self) -> bytes:
        return keccak256(self.claim.header)


class LeafViews:
    """Finds out what is known of leaves. Raises `L1Error`."""

    def __init__(
        self, l1: L1Client, store: Store, executor: Executor, reviewer: Reviewer, rpc_urls: Sequence[str]
    ) -> None:
        self._l1 = l1
        self._store = store
        self._executor = executor
        self._reviewer = reviewer
        self._rpc_urls = rpc_urls

    async def view(
        self,
        item: Watched,
        terms: Terms,
        review: Review,
        name: LeafName,
        reader: DisputeReader,
        board: LeafBoard,
        head: L1Header,
        me: bytes,
    ) -> tuple[LeafView, dict[int, tuple[bytes, tuple[bytes, ...]]]]:
        """All that is known of a leaf, and the blocks that its claimant has shown and that aren't valid."""
        rules = await reader.rules()
        shown, unreadable = await self._shown(item, review, name, reader, board)
        known: dict[str, Any] = {}
        blocks: dict[int, BlockVerdict] = {}
        invalid: dict[int, tuple[bytes, tuple[bytes, ...]]] = {}
        if shown is not None:
            content = shown.content
            session = await asyncio.to_thread(self._reviewer.session_of, item.header, content.config_hash)
            if session is not None:
                known["session"] = session
                known["obstacle"] = await asyncio.to_thread(self._reviewer.obstacle, item.header, content, session)
                known["opening"] = await asyncio.to_thread(self._opening, session)
                known["l1_header"] = await self._seed_header(session, reader, head)
                hashes = await self._claimed_hashes(content, name, reader, board)
                chain = await self._chain(session, review, content, hashes)
                if chain is not None and content.last_number > content.first_number:
                    if chain.last_number >= content.last_number >= content.first_number:
                        own = chain.hashes(content.first_number, content.last_number)
                        if block_hashes_root(own) == content.block_hashes_root:
                            hashes.add_all(own)
                    chain = await self._follow(chain, content, hashes, name, reader, board, blocks, invalid)
                known |= {"chain": chain, "hashes": hashes}
        view = LeafView(
            name=name,
            terms=terms,
            me=me,
            now=head.timestamp,
            window_end=item.window_end,
            state=board.state,
            disputes=board.disputes,
            act_until=board.act_until(rules.response_time),
            shown=shown,
            unreadable=unreadable,
            blocks=blocks,
            **known,
        )
        return view, invalid

    async def _shown(
        self, item: Watched, review: Review, name: LeafName, reader: DisputeReader, board: LeafBoard
    ) -> tuple[ShownLeaf | None, bool]:
        """The leaf's content, from the review, from the operator's node, or as it was shown on L1."""
        if review.leaves:
            return ShownLeaf.of(name, review.leaves), False
        if item.leaves is None and self._store.now() >= item.ask_again:
            item.ask_again = self._store.now() + ASK_AGAIN
            item.leaves = await asyncio.to_thread(self._told_leaves, item)
        if item.leaves is not None:
            return ShownLeaf.of(name, item.leaves), False
        answer = board.answers.get((DisputeKind.LEAF, 0))
        if answer is None:
            return None, False
        shown = await reader.shown_leaf(answer, name.claim_id, name.index)
        return shown, shown is None

    def _told_leaves(self, item: Watched) -> tuple[SessionClaim, ...] | None:
        """A claim's leaves as a node tells them, if they have the claim's root; that spares demanding them."""
        for url in self._rpc_urls:
            try:
                answer = RpcClient(url).call("zkcop_getClaim", hex(item.claim.claim_id))
                leaves = tuple(SessionClaim.decode(bytes.fromhex(one["claim"][2:])) for one in answer["sessions"])
                if leaves and merkle_root([leaf.leaf() for leaf in leaves]) == item.header.root:
                    return leaves if len(leaves) == item.header.count else None
            except (RpcFailure, ProtocolError, KeyError, TypeError, ValueError) as error:
                log.debug("a node doesn't tell a claim's leaves", claim=item.claim.claim_id, reason=str(error))
        return None

    async def _claimed_hashes(
        self, content: LeafContent, name: LeafName, reader: DisputeReader, board: LeafBoard
    ) -> ClaimedHashes:
        count = max(content.last_number - content.first_number + 1, 0)
        hashes = ClaimedHashes(content.first_number, count, content.block_hashes_root)
        for (kind, position), answer in board.answers.items():
            if kind is DisputeKind.HASHES:
                shown = await reader.shown_hashes(answer, name.claim_id, name.index, position)
                if shown is not None:
                    with contextlib.suppress(ProtocolError):
                        hashes.add(shown)
        return hashes

    async def _chain(
        self, session: Session, review: Review, content: LeafContent, hashes: ClaimedHashes
    ) -> Chain | None:
        """The known history that has the most in common with what is claimed; None if it can't be executed here."""
        try:
            known = await asyncio.to_thread(self._reviewer.chains_of, session)
        except NotExecutable:
            return None
        candidates = [chain for chain in review.chains if chain.session.session_id == session.session_id] + known

        def agreement(chain: Chain) -> tuple[bool, int, int]:
            covers = content.first_number <= content.last_number <= chain.last_number
            whole = covers and chain.hash_of(content.last_number) == content.last_hash
            common = 0
            for number in range(content.first_number, chain.last_number + 1):
                if hashes.get(number) is None or hashes.get(number) != chain.hash_of(number):
                    break
                common += 1
            return whole, common, chain.last_number

        return max(candidates, key=agreement)

    async def _follow(
        self,
        chain: Chain,
        content: LeafContent,
        hashes: ClaimedHashes,
        name: LeafName,
        reader: DisputeReader,
        board: LeafBoard,
        blocks: dict[int, BlockVerdict],
        invalid: dict[int, tuple[bytes, tuple[bytes, ...]]],
    ) -> Chain:
        """The chain along the claimed hashes, as far as the blocks that were shown on L1 are valid."""
        number = content.first_number
        while number <= content.last_number:
            claimed = hashes.get(number)
            if claimed is None:
                return chain
            if claimed == chain.hash_of(number):
                number += 1
                continue
            answer = board.answers.get((DisputeKind.BLOCK, number))
            if answer is None or number == content.first_number or number - 1 > chain.last_number:
                return chain
            shown = await reader.shown_block(answer, name.claim_id, name.index, number)
            if shown is None:
                blocks[number] = BlockVerdict.UNREADABLE
                return chain
            before = chain.cut(number - 1)
            block = await asyncio.to_thread(self._executor.judge, before, shown.header, shown.transactions)
            if block is None:
                blocks[number] = BlockVerdict.INVALID
                invalid[number] = shown.header, shown.transactions
                return before
            chain = Chain(chain.session, chain.genesis_hash, (*before.blocks, block))
            number += 1
        return chain

    def _opening(self, session: Session) -> Opening | None:
        template = self._store.templates.get(session.template_id)
        if template is None:
            return None
        return Opening(template.state_root, template.data_hash, session.players, session.init_data)

    async def _seed_header(self, session: Session, reader: DisputeReader, head: L1Header) -> bytes | None:
        number = session.opened_block + 1
        if head.number - number > OLDEST_SEED_BLOCK and not await reader.is_recorded(number):
            return None
        header = await self._l1.get_block(number)
        return None if header is None else header.rlp
