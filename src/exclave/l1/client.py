"""L1Client: JSON-RPC to L1 over several endpoints that may be dead, slow, behind or lying."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import httpx
import structlog

from exclave.l1.endpoints import Call, Endpoint, EndpointHealth
from exclave.l1.errors import (
    FAILOVER,
    AlreadyKnown,
    EndpointBehind,
    EndpointFault,
    EndpointLies,
    EndpointTimeout,
    L1Error,
    L1Unavailable,
    MalformedResponse,
    NodeError,
    NonceTooLow,
    RateLimited,
    ResultTooLarge,
    StateUnavailable,
    UnexpectedResult,
)
from exclave.l1.values import (
    BlockId,
    L1Header,
    L1Log,
    L1Receipt,
    block_parameter,
    find_transaction,
    read_block_logs,
    read_data,
    read_header,
    read_list,
    read_log,
    read_object,
    read_quantity,
    read_receipt,
    to_hex,
)
from exclave.protocol.errors import ProtocolError
from exclave.protocol.fields import keccak256

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How patient and how trusting the client is. Times in seconds, distances in blocks."""

    timeout: float = 10.0
    """For a whole answer."""
    straggler_timeout: float = 2.0
    """How long endpoints are waited for that answer later than another one, where all are asked."""
    rounds: int = 4
    """How often all endpoints are tried before a request fails."""
    backoff: float = 0.25
    """The pause after the first round; it doubles with each, with a jitter of plus or minus half."""
    max_backoff: float = 8.0
    quarantine: float = 300.0
    """How long an endpoint that lied, or serves another chain, isn't asked."""
    max_lag: int = 4
    """An endpoint this far behind the best head is asked last."""
    reorg_tolerance: int = 64
    """An endpoint whose head falls back further lies: so deep, mainnet is final."""
    max_lead: int = 64
    """With three endpoints or more, one that far ahead of the middle one lies."""
    logs_range: int = 5_000
    """Blocks in one eth_getLogs at most; less where endpoints take less."""
    bloom_range: int = 64
    """Logs of ranges that long, and that near the head, are looked for again where a block's bloom filter says that
    there may be some: there it is that endpoints leave logs out that they haven't indexed yet.
    """
    check_headers: bool = True
    """Recompute block hashes from headers. Only to be turned off for chains with other header fields."""


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account in the state after one block. `balance` in wei."""

    nonce: int
    balance: int


@dataclass(frozen=True, slots=True)
class FeeHistory:
    """What eth_feeHistory tells, in wei a gas. The `next_` fees are those of the block after the newest."""

    next_base_fee: int
    next_blob_base_fee: int
    rewards: tuple[int, ...]
    """The asked percentile of the priority fees of each block, oldest first."""


@dataclass(frozen=True, slots=True)
class _LogFilter:
    """What eth_getLogs is asked for, the blocks aside."""

    addresses: tuple[bytes, ...]
    topics: tuple[Sequence[bytes] | None, ...]

    def to_json(self, first: int, last: int) -> dict[str, Any]:
        query: dict[str, Any] = {"fromBlock": hex(first), "toBlock": hex(last)}
        if self.addresses:
            query["address"] = [to_hex(address) for address in self.addresses]
        if self.topics:
            query["topics"] = [None if item is None else [to_hex(topic) for topic in item] for item in self.topics]
        return query

    def matches(self, entry: L1Log) -> bool:
        return (
            (not self.addresses or entry.address in self.addresses)
            and len(entry.topics) >= len(self.topics)
            and all(
                allowed is None or topic in allowed for topic, allowed in zip(entry.topics, self.topics, strict=False)
            )
        )


@dataclass(frozen=True, slots=True)
class _Logs:
    """One endpoint's logs of a range, and the header of its last block."""

    endpoint: Endpoint
    logs: list[L1Log]
    last: L1Header

    @property
    def contents(self) -> list[L1Log]:
        """What a block commits to: all but the hashes of the logs' transactions."""
        return [replace(entry, transaction_hash=b"") for entry in self.logs]


@dataclass(frozen=True, slots=True)
class L1Logs:
    """Logs in order, and the header of the range's last block on the chain that they are from."""

    logs: list[L1Log]
    last: L1Header


@dataclass(frozen=True, slots=True)
class CallRequest:
    """The parameters of eth_call and eth_estimateGas; `to` is None for a creation, `value` in wei."""

    to: bytes | None
    data: bytes = b""
    sender: bytes | None = None
    value: int = 0
    gas: int | None = None
    blob_versioned_hashes: tuple[bytes, ...] = ()

    def to_json(self) -> dict[str, Any]:
        request: dict[str, Any] = {"value": hex(self.value), "input": to_hex(self.data)}
        if self.to is not None:
            request["to"] = to_hex(self.to)
        if self.sender is not None:
            request["from"] = to_hex(self.sender)
        if self.gas is not None:
            request["gas"] = hex(self.gas)
        if self.blob_versioned_hashes:
            request["blobVersionedHashes"] = [to_hex(item) for item in self.blob_versioned_hashes]
        return request


class L1Client:
    """Asks the endpoint that does best, and the next one when it fails.

    `urls` may hold keys: they never appear in logs or errors. Every method raises `L1Unavailable` when no endpoint
    gave a usable answer, and the `NodeError`s of `exclave.l1.errors` for what nodes refuse. `clock`, `sleep` and
    `random` are for tests.
    """

    def __init__(
        self,
        urls: Sequence[str],
        chain_id: int,
        settings: ClientSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        if not urls:
            raise ValueError("at least one L1 endpoint is needed")
        self.chain_id = chain_id
        self.settings = settings or ClientSettings()
        self._sleep = sleep
        self._random = random
        self._http = httpx.AsyncClient(timeout=self.settings.timeout, follow_redirects=False)
        self._endpoints = [
            Endpoint(
                url,
                self._http,
                chain_id,
                clock=clock,
                timeout=self.settings.timeout,
                quarantine=self.settings.quarantine,
                reorg_tolerance=self.settings.reorg_tolerance,
                index=index,
            )
            for index, url in enumerate(urls)
        ]
        self._logs_range = self.settings.logs_range
        self._proven: dict[bytes, tuple[L1Log, ...]] = {}  # all logs of blocks, by the block's hash

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> L1Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def health(self) -> list[EndpointHealth]:
        """How each endpoint does, in the configured order."""
        return [endpoint.health() for endpoint in self._endpoints]

    # blocks

    async def get_head(self) -> L1Header:
        """The newest block. Asks all endpoints, and so finds those that are behind or lie."""

        async def ask(endpoint: Endpoint) -> L1Header:
            header = self._read_header(await endpoint.request("eth_getBlockByNumber", ("latest", False)))
            if header is None:
                raise MalformedResponse("there is no latest block")
            endpoint.note_head(header)
            return header

        asked = [endpoint for endpoint in self._order() if not endpoint.resting]
        heads = await self._ask_all(asked, ask)
        if len(heads) >= 3:
            middle = sorted(header.number for _, header in heads)[len(heads) // 2]
            for endpoint, header in heads:
                if header.number > middle + self.settings.max_lead:
                    self._note_fault(
                        endpoint, EndpointLies(f"its head {header.number} is far beyond the others' {middle}")
                    )
            heads = [(endpoint, header) for endpoint, header in heads if not endpoint.banned]
        if not heads:
            return await self._with_failover("eth_getBlockByNumber", ask)
        best = max((header for _, header in heads), key=lambda header: header.number)
        for endpoint, header in heads:
            endpoint.blocks_behind = best.number - header.number
        return best

    async def find_transaction(self, block: int, sender: bytes, nonce: int) -> bytes | None:
        """The hash of the transaction in a block that used up a sender's nonce, None when no endpoint shows it.

        It has the sender's signature, so that no endpoint can make one up, and all endpoints that answer agree on it:
        raises `L1Unavailable` when they don't.
        """

        async def ask(endpoint: Endpoint) -> tuple[bytes, bytes | None]:
            value = await endpoint.request("eth_getBlockByNumber", (block_parameter(block), True))
            header = self._read_header(value)
            if header is None:
                raise EndpointBehind(f"it doesn't have block {block}")
            if header.number != block:
                raise EndpointLies("it answered with another block than the one asked for")
            return header.hash, find_transaction(value, sender, nonce)

        asked = [endpoint for endpoint in self._order() if not endpoint.resting] or self._order()
        answers = await self._ask_all(asked, ask)
        if not answers:
            raise L1Unavailable("eth_getBlockByNumber", {item.name: item.reason or "in quarantine" for item in asked})
        if len({answer for _, answer in answers}) > 1:
            raise L1Unavailable("eth_getBlockByNumber", {"all": f"the endpoints differ about block {block}"})
        return answers[0][1][1]

    async def get_block(self, block: BlockId) -> L1Header | None:
        """A block's header, None when no endpoint has it."""
        by_hash = isinstance(block, bytes)
        method = "eth_getBlockByHash" if by_hash else "eth_getBlockByNumber"
        parameter = to_hex(block) if isinstance(block, bytes) else block_parameter(block)

        async def ask(endpoint: Endpoint) -> L1Header:
            header = self._read_header(await endpoint.request(method, (parameter, False)))
            if header is None:
                raise EndpointBehind("it doesn't have the block")
            if (by_hash and header.hash != block) or (isinstance(block, int) and header.number != block):
                raise EndpointLies("it answered with another block than the one asked for")
            return header

        try:
            return await self._with_failover(method, ask)
        except EndpointBehind:
            return None

    # logs and receipts

    async def get_logs(
        self,
        addresses: Sequence[bytes],
        topics: Sequence[Sequence[bytes] | None],
        first: int,
        last: int,
    ) -> L1Logs:
        """The logs of `addresses` (any, when empty) in blocks `first` to `last`. `topics` gives the allowed values of
        each topic, None for any.

        Ranges that endpoints find too large are split. Each answer is checked: against the filter, and against the
        endpoint's own chain, which must have block `last`. So that no endpoint can leave logs out, a second one is
        asked, and where the two differ, or there is none, the blocks' receipts decide (see `_logs_of`). Raises
        `L1Unavailable` when no endpoint has block `last`, or nobody can say whose logs are right.
        """
        wanted = _LogFilter(tuple(addresses), tuple(topics))
        found: list[L1Log] = []
        start = first
        while True:
            end = min(last, start + self._logs_range - 1)
            try:
                logs, header = await self._logs_of(wanted, start, end)
            except ResultTooLarge:
                if end == start:
                    raise
                self._logs_range = max(1, (end - start + 1) // 2)
                continue
            found += logs
            if end >= last:
                return L1Logs(found, header)
            start = end + 1
            self._logs_range = min(self.settings.logs_range, self._logs_range * 2)

    async def _logs_of(self, wanted: _LogFilter, first: int, last: int) -> tuple[list[L1Log], L1Header]:
        """The logs of a range that isn't split.

        Two endpoints on the same chain are compared. Where their logs of a block differ, its receipts say who is right,
        because the header commits to them; the other one is banned. An endpoint that is alone has to show the receipts
        of those blocks that its logs leave out although the bloom filter has our addresses and topics: near the head,
        because full blocks' filters have nearly everything.
        """
        opinions: list[_Logs] = []

        try:
            opinions.append(
                await self._with_failover("eth_getLogs", lambda item: self._read_logs(item, wanted, first, last))
            )
        except EndpointBehind as error:
            raise L1Unavailable("eth_getLogs", {"all": str(error)}) from None
        for endpoint in self._order():
            if endpoint is opinions[0].endpoint or endpoint.resting:
                continue
            opinion = await self._opinion(endpoint, wanted, first, last)
            if opinion is not None:
                opinions.append(opinion)
                if any(opinion.last.hash == other.last.hash for other in opinions[:-1]):
                    break
        chains = [[item for item in opinions if item.last.hash == opinion.last.hash] for opinion in opinions]
        chosen = max(chains, key=len)  # the first of the longest: that of the best endpoint
        if len(chosen) < len(opinions):
            names = [opinion.endpoint.name for opinion in opinions]
            log.warning("L1 endpoints are on different chains", block=last, endpoints=names)
        if len(chosen) == 1:
            await self._check_alone(chosen[0], wanted, first, last)
            return chosen[0].logs, chosen[0].last
        one, two = chosen[0], chosen[-1]
        if one.contents == two.contents:
            return one.logs, one.last
        return await self._decide(one, two, wanted), one.last

    async def _opinion(
        self, endpoint: Endpoint, wanted: _LogFilter, first: int, last: int, splits: int = 4
    ) -> _Logs | None:
        """Another endpoint's logs, None when it has none to give. Its own limits don't bind the first one."""
        try:
            opinion = await self._ask(endpoint, lambda item: self._read_logs(item, wanted, first, last))
            endpoint.succeeded()
            return opinion
        except ResultTooLarge as error:
            if first == last or not splits:
                self._note_fault(endpoint, error)
                return None
            middle = (first + last) // 2
            left = await self._opinion(endpoint, wanted, first, middle, splits - 1)
            right = await self._opinion(endpoint, wanted, middle + 1, last, splits - 1) if left else None
            return _Logs(endpoint, [*left.logs, *right.logs], right.last) if left and right else None
        except (EndpointFault, NodeError) as error:
            self._note_fault(endpoint, error)
            return None

    async def _read_logs(self, endpoint: Endpoint, wanted: _LogFilter, first: int, last: int) -> _Logs:
        # A reorg between the requests looks like a lie once, not twice.
        for _ in range(2):
            try:
                answer = await self._read_logs_once(endpoint, wanted, first, last)
            except EndpointTimeout:
                self._logs_range = max(1, (last - first + 1) // 2)  # for the next time
                raise
            if answer is not None:
                return answer
        raise EndpointLies("it answered with logs of blocks that aren't on its chain")

    async def _read_logs_once(self, endpoint: Endpoint, wanted: _LogFilter, first: int, last: int) -> _Logs | None:
        query = ("eth_getLogs", (wanted.to_json(first, last),))
        answers = await endpoint.batch([query, ("eth_getBlockByNumber", (hex(last), False))])
        for answer in answers:
            if isinstance(answer, NodeError):
                raise answer
        header = self._read_header(answers[1])
        if header is None:
            # It would have answered with the logs that it knows of, and nobody would miss the others.
            raise EndpointBehind(f"it doesn't have block {last} yet")
        logs = [read_log(entry) for entry in read_list(answers[0], "logs") if not _removed(entry)]
        if not all(first <= entry.block_number <= last and wanted.matches(entry) for entry in logs):
            raise EndpointLies("it answered with logs that weren't asked for")
        logs.sort(key=lambda entry: (entry.block_number, entry.log_index))
        if len({(entry.block_number, entry.log_index) for entry in logs}) < len(logs):
            raise EndpointLies("it answered with the same log twice")
        chain = {header.number: header}
        for block in await self._headers(endpoint, sorted({entry.block_number for entry in logs} - set(chain))):
            chain[block.number] = block
        if any(chain[entry.block_number].hash != entry.block_hash for entry in logs):
            return None
        for entry in logs:
            if not chain[entry.block_number].may_have_logs([entry.address], [[topic] for topic in entry.topics]):
                raise EndpointLies(f"it answered with a log that block {entry.block_number} doesn't have")
        return _Logs(endpoint, logs, header)

    async def _headers(self, endpoint: Endpoint, numbers: Sequence[int]) -> list[L1Header]:
        """Headers of one endpoint's chain. A block that it doesn't have may just not have reached it yet."""
        headers = []
        calls = [("eth_getBlockByNumber", (hex(number), False)) for number in numbers]
        for number, value in zip(numbers, await endpoint.batch(calls), strict=True):
            if isinstance(value, NodeError):
                raise value
            header = self._read_header(value)
            if header is None:
                raise EndpointBehind(f"it doesn't have block {number}")
            if header.number != number:
                raise EndpointLies("it answered with another block than the one asked for")
            headers.append(header)
        return headers

    async def _check_alone(self, opinion: _Logs, wanted: _LogFilter, first: int, last: int) -> None:
        """Raises `L1Unavailable` when the only endpoint left logs out. One that has no receipts to show is believed."""
        head = opinion.endpoint.head
        is_old = head is not None and last < head.number - self.settings.bloom_range
        if last - first >= self.settings.bloom_range or is_old or not self.settings.check_headers:
            return
        silent = set(range(first, last + 1)) - {entry.block_number for entry in opinion.logs}

        async def check(endpoint: Endpoint) -> bool:
            for header in await self._headers(endpoint, sorted(silent)):
                if header.may_have_logs(wanted.addresses, wanted.topics):
                    try:
                        proven = await self._proven_logs(endpoint, header)
                    except NodeError as error:
                        log.debug("an L1 endpoint shows no receipts", endpoint=endpoint.name, reason=str(error))
                        return True
                    if any(wanted.matches(entry) for entry in proven):
                        raise EndpointLies(f"it left out logs of block {header.number}")
            return True

        if not await self._guarded(opinion.endpoint, check):
            raise L1Unavailable("eth_getLogs", {opinion.endpoint.name: opinion.endpoint.reason or "no receipts"})

    async def _decide(self, one: _Logs, two: _Logs, wanted: _LogFilter) -> list[L1Log]:
        """The logs of two endpoints that differ, as the blocks' receipts have them."""
        differing = {entry.block_number for entry in {*one.contents} ^ {*two.contents}}
        proven: dict[int, list[L1Log]] = {}

        async def prove(endpoint: Endpoint) -> bool:
            for header in await self._headers(endpoint, sorted(differing - set(proven))):
                logs = await self._proven_logs(endpoint, header)
                proven[header.number] = [entry for entry in logs if wanted.matches(entry)]
            return True

        for opinion in (one, two):
            if differing - set(proven) and self.settings.check_headers:
                await self._guarded(opinion.endpoint, prove)
        if differing - set(proven):
            names = f"{one.endpoint.name} and {two.endpoint.name}"
            raise L1Unavailable(
                "eth_getLogs",
                {names: f"they differ about logs of block {min(differing)}, and neither shows the block's receipts"},
            )
        decided = [entry for entry in one.logs if entry.block_number not in differing]
        decided += [entry for number in differing for entry in proven[number]]
        decided.sort(key=lambda entry: (entry.block_number, entry.log_index))
        for opinion in (one, two):
            if opinion.contents != _Logs(opinion.endpoint, decided, opinion.last).contents:
                self._note_fault(opinion.endpoint, EndpointLies("its logs aren't those that the blocks commit to"))
        return decided

    async def _proven_logs(self, endpoint: Endpoint, header: L1Header) -> Sequence[L1Log]:
        """All logs of a block, checked against its header. Raises `NodeError` when the endpoint has no receipts."""
        if header.hash not in self._proven:
            receipts = await endpoint.request("eth_getBlockReceipts", (to_hex(header.hash),))
            if receipts is None:
                raise StateUnavailable(f"it doesn't have the receipts of block {header.number}")
            self._proven[header.hash] = tuple(read_block_logs(receipts, header))
            while len(self._proven) > 2 * self.settings.bloom_range:
                del self._proven[next(iter(self._proven))]
        return self._proven[header.hash]

    async def get_receipts(self, hashes: Sequence[bytes]) -> list[L1Receipt | None]:
        """The receipts of transactions, None for each that isn't in a block of the answering endpoint's chain."""

        async def once(endpoint: Endpoint) -> list[L1Receipt | None] | None:
            answers = await endpoint.batch([("eth_getTransactionReceipt", (to_hex(item),)) for item in hashes])
            receipts: list[L1Receipt | None] = []
            for item, answer in zip(hashes, answers, strict=True):
                if isinstance(answer, NodeError):
                    raise answer
                # Some nodes give receipts of pending transactions, without a block.
                pending = answer is None or (isinstance(answer, dict) and answer.get("blockHash") is None)
                receipts.append(None if pending else read_receipt(answer))
                found = receipts[-1]
                if found is not None and found.transaction_hash != item:
                    raise EndpointLies("it answered with the receipt of another transaction")
            numbers = sorted({receipt.block_number for receipt in receipts if receipt is not None})
            chain = {header.number: header.hash for header in await self._headers(endpoint, numbers)}
            consistent = all(r is None or chain[r.block_number] == r.block_hash for r in receipts)
            return receipts if consistent else None

        async def ask(endpoint: Endpoint) -> list[L1Receipt | None]:
            answer = await once(endpoint) or await once(endpoint)
            if answer is None:
                raise EndpointLies("it answered with receipts of blocks that aren't on its chain")
            return answer

        try:
            return await self._with_failover("eth_getTransactionReceipt", ask) if hashes else []
        except EndpointBehind as error:
            raise L1Unavailable("eth_getTransactionReceipt", {"all": str(error)}) from None

    async def get_receipt(self, transaction_hash: bytes) -> L1Receipt | None:
        """A transaction's receipt, None when it isn't in a block."""
        return (await self.get_receipts([transaction_hash]))[0]

    async def known_transactions(self, hashes: Sequence[bytes]) -> list[bool]:
        """Whether the answering endpoint knows each transaction, in a block or in its pool."""

        async def ask(endpoint: Endpoint) -> list[bool]:
            answers = await endpoint.batch([("eth_getTransactionByHash", (to_hex(item),)) for item in hashes])
            known = []
            for item, answer in zip(hashes, answers, strict=True):
                if isinstance(answer, NodeError):
                    raise answer
                known.append(answer is not None)
                if answer is not None and read_data(read_object(answer, "transaction").get("hash"), "hash") != item:
                    raise EndpointLies("it answered with another transaction")
            return known

        return await self._with_failover("eth_getTransactionByHash", ask) if hashes else []

    # state

    async def get_account(self, address: bytes, block: BlockId = "latest") -> AccountState:
        """Nonce and balance after one block: both of the same endpoint, and with a hash or number of the same block.

        Raises `StateUnavailable` when no endpoint has that state.
        """
        where = block_parameter(block)

        async def ask(endpoint: Endpoint) -> AccountState:
            answers = await endpoint.batch(
                [(method, (to_hex(address), where)) for method in ("eth_getTransactionCount", "eth_getBalance")]
            )
            for answer in answers:
                if isinstance(answer, NodeError):
                    raise answer
            return AccountState(read_quantity(answers[0], "nonce"), read_quantity(answers[1], "balance", 256))

        return await self._with_failover("eth_getTransactionCount", ask)

    async def get_nonce(self, address: bytes, block: BlockId = "latest") -> int:
        """The number of transactions that an account has sent, with `pending` including those in the pool."""
        parameters = (to_hex(address), block_parameter(block))
        return await self._read("eth_getTransactionCount", parameters, lambda value: read_quantity(value, "nonce"))

    async def get_balance(self, address: bytes, block: BlockId = "latest") -> int:
        """In wei."""
        parameters = (to_hex(address), block_parameter(block))
        return await self._read("eth_getBalance", parameters, lambda value: read_quantity(value, "balance", 256))

    async def get_code(self, address: bytes, block: BlockId = "latest") -> bytes:
        parameters = (to_hex(address), block_parameter(block))
        return await self._read("eth_getCode", parameters, lambda value: read_data(value, "code"))

    async def call(self, request: CallRequest, block: BlockId = "latest") -> bytes:
        """eth_call. Raises `ExecutionReverted` with the revert's data."""
        return await self.call_for(request, lambda data: data, block)

    async def call_for(self, request: CallRequest, read: Callable[[bytes], T], block: BlockId = "latest") -> T:
        """eth_call, and what `read` makes of its result.

        Another endpoint is asked when `read` can't (raises `ValueError` or `ProtocolError`). Raises
        `UnexpectedResult` when it can't read any answer, and `ExecutionReverted`.
        """

        def read_result(value: Any) -> T:
            data = read_data(value, "result")
            try:
                return read(data)
            except (ValueError, ProtocolError) as error:
                raise UnexpectedResult(f"the call's result isn't what was expected: {str(error)[:200]}") from error

        return await self._read("eth_call", (request.to_json(), block_parameter(block)), read_result)

    async def estimate_gas(self, request: CallRequest) -> int:
        """eth_estimateGas on the newest block. Raises `ExecutionReverted` and `CallFailed`."""
        return await self._read("eth_estimateGas", (request.to_json(),), lambda value: read_quantity(value, "gas"))

    # fees

    async def get_fee_history(self, blocks: int = 10, percentile: float = 50.0) -> FeeHistory:
        """The fees of the newest blocks and of the next one."""

        async def ask(endpoint: Endpoint) -> FeeHistory:
            value = read_object(
                await endpoint.request("eth_feeHistory", (hex(blocks), "latest", [percentile])), "fee history"
            )
            base_fees = [
                read_quantity(fee, "base fee", 256) for fee in read_list(value.get("baseFeePerGas"), "base fees")
            ]
            blob_fees = [
                read_quantity(fee, "blob base fee", 256)
                for fee in read_list(value.get("baseFeePerBlobGas") or [], "blob base fees")
            ]
            if not base_fees:
                raise MalformedResponse("a fee history without base fees")
            listed = [read_list(item or [], "reward") for item in read_list(value.get("reward") or [], "rewards")]
            rewards = [read_quantity(reward[0], "reward", 256) for reward in listed if reward]
            return FeeHistory(base_fees[-1], blob_fees[-1] if blob_fees else 0, tuple(rewards))

        return await self._with_failover("eth_feeHistory", ask)

    async def get_blob_base_fee(self) -> int:
        """In wei a blob gas."""
        return await self._read("eth_blobBaseFee", (), lambda value: read_quantity(value, "blob base fee", 256))

    # sending

    async def send_raw(self, raw: bytes) -> None:
        """Offer a signed transaction to all endpoints; returns when at least one has it.

        Sending the same bytes again is harmless. Raises the nodes' refusal, `L1Unavailable` when none answered (it
        may have been accepted all the same), and `NonceTooLow` only when no endpoint has the transaction.
        """
        endpoints = self._order()
        answers = await self._gather(
            endpoints, lambda endpoint: self._offer(endpoint, raw), good=lambda answer: answer is None
        )
        if any(answer is None for answer in answers.values()):
            return
        refusals = [answer for answer in answers.values() if isinstance(answer, NodeError)]
        if refusals:
            # What most speaks for itself first: an endpoint that is behind may complain of a gap or of funds.
            raise next((error for error in refusals if isinstance(error, NonceTooLow)), refusals[0])
        raise L1Unavailable(
            "eth_sendRawTransaction",
            {endpoint.name: str(answer) for endpoint, answer in answers.items()},
        )

    async def _offer(self, endpoint: Endpoint, raw: bytes) -> L1Error | None:
        async def send(endpoint: Endpoint) -> bytes:
            return read_data(await endpoint.request("eth_sendRawTransaction", (to_hex(raw),)), "hash", 32)

        try:
            answer = await self._ask(endpoint, send)
            endpoint.succeeded()
            # A blob transaction's hash leaves its sidecar out (EIP-4844); the caller knows it.
            if raw[0] != 3 and answer != keccak256(raw):
                raise EndpointLies("it answered with the hash of another transaction")
            return None
        except AlreadyKnown:
            return None
        except EndpointFault as error:
            self._note_fault(endpoint, error)
            return error
        except FAILOVER as error:
            self._note_fault(endpoint, error)
            return L1Error(str(error))
        except NodeError as error:
            return error

    # any method

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        """Any JSON-RPC method's result, as JSON."""
        return await self._with_failover(method, lambda endpoint: endpoint.request(method, params))

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Several calls to one endpoint in as few HTTP requests as it allows; a `NodeError` in the place of each that
        failed.
        """
        return await self._with_failover("batch", lambda endpoint: endpoint.batch(calls)) if calls else []

    # internals

    async def _read(self, method: str, params: Sequence[Any], read: Callable[[Any], T]) -> T:
        """What `read` makes of one call's result: an endpoint whose answer it can't read has failed."""

        async def ask(endpoint: Endpoint) -> T:
            return read(await endpoint.request(method, params))

        return await self._with_failover(method, ask)

    @staticmethod
    async def _ask(endpoint: Endpoint, work: Callable[[Endpoint], Awaitable[T]]) -> T:
        """One endpoint's answer. Whatever can't be read in it is the endpoint's fault, not the end of the caller."""
        try:
            return await work(endpoint)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError, OverflowError) as error:
            log.warning("an L1 endpoint's answer can't be read", endpoint=endpoint.name, exc_info=True)
            raise MalformedResponse(f"its answer can't be read ({type(error).__name__})") from error

    async def _ask_all(
        self, endpoints: Sequence[Endpoint], work: Callable[[Endpoint], Awaitable[T]]
    ) -> list[tuple[Endpoint, T]]:
        """The answers of several endpoints, in their order."""
        answers = await self._gather(
            endpoints, lambda endpoint: self._guarded(endpoint, work), good=lambda answer: answer is not None
        )
        return [(endpoint, answer) for endpoint, answer in answers.items() if answer is not None]

    async def _gather(
        self,
        endpoints: Sequence[Endpoint],
        work: Callable[[Endpoint], Awaitable[T]],
        good: Callable[[T], bool],
    ) -> dict[Endpoint, T]:
        """What several endpoints give, in their order. Those that are much slower than the first good one fail."""
        tasks = {asyncio.ensure_future(work(endpoint)): endpoint for endpoint in endpoints}
        given: dict[Endpoint, T] = {}
        waiting = set(tasks)
        try:
            while waiting:
                patience = self.settings.straggler_timeout if any(map(good, given.values())) else None
                done, waiting = await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    break
                given |= {tasks[task]: task.result() for task in done}
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        for task in waiting:
            self._note_fault(tasks[task], EndpointTimeout("no answer while others had one"))
        return {endpoint: given[endpoint] for endpoint in endpoints if endpoint in given}

    def _read_header(self, value: Any) -> L1Header | None:
        return None if value is None else read_header(value, check_hash=self.settings.check_headers)

    def _order(self) -> list[Endpoint]:
        """The endpoints that may be asked, best first."""
        return sorted(
            (endpoint for endpoint in self._endpoints if not endpoint.banned),
            key=lambda item: (item.resting, item.blocks_behind > self.settings.max_lag, item.failures > 0, item.index),
        )

    def _note_fault(self, endpoint: Endpoint, error: EndpointFault | NodeError) -> None:
        endpoint.failed(error)
        ordinary = isinstance(error, EndpointBehind | StateUnavailable)
        (log.debug if ordinary else log.warning)(
            "L1 endpoint failed", endpoint=endpoint.name, error=type(error).__name__, reason=endpoint.reason
        )

    async def _guarded(self, endpoint: Endpoint, work: Callable[[Endpoint], Awaitable[T]]) -> T | None:
        try:
            answer = await self._ask(endpoint, work)
        except (EndpointFault, NodeError) as error:
            self._note_fault(endpoint, error)
            return None
        endpoint.succeeded()
        return answer

    async def _with_failover(self, method: str, work: Callable[[Endpoint], Awaitable[T]]) -> T:
        reasons: dict[str, str] = {}
        for attempt in range(self.settings.rounds):
            if attempt:
                pause = min(self.settings.backoff * 2 ** (attempt - 1), self.settings.max_backoff)
                await self._sleep(pause * (0.5 + self._random()))
            errors: list[EndpointFault | NodeError] = []
            for endpoint in self._order():
                try:
                    answer = await self._ask(endpoint, work)
                except (EndpointFault, *FAILOVER) as error:
                    self._note_fault(endpoint, error)
                    reasons[endpoint.name] = endpoint.reason or type(error).__name__
                    errors.append(error)
                    continue
                except NodeError:
                    endpoint.succeeded()
                    raise
                endpoint.succeeded()
                return answer
            # What all endpoints answer alike won't change by asking again at once.
            if errors and all(isinstance(error, EndpointBehind) for error in errors):
                raise errors[0]
            if errors and all(isinstance(error, NodeError) and not isinstance(error, RateLimited) for error in errors):
                raise errors[0]
            for endpoint in self._endpoints:
                if endpoint.banned:
                    reasons[endpoint.name] = endpoint.reason or "in quarantine"
        raise L1Unavailable(method, reasons)


def _removed(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("removed") is True
