"""L1Client: JSON-RPC to L1 over several endpoints that may be dead, slow, behind or lying."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
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
    L1Error,
    L1Unavailable,
    MalformedResponse,
    NodeError,
    NonceTooLow,
    RateLimited,
    ResultTooLarge,
    StateUnavailable,
)
from exclave.l1.values import (
    BlockId,
    L1Block,
    L1Header,
    L1Log,
    L1Receipt,
    block_parameter,
    read_block,
    read_data,
    read_header,
    read_list,
    read_log,
    read_object,
    read_quantity,
    read_receipt,
    to_hex,
)
from exclave.protocol.fields import keccak256

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How patient and how trusting the client is. Times in seconds, distances in blocks."""

    timeout: float = 10.0
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
                quarantine=self.settings.quarantine,
                reorg_tolerance=self.settings.reorg_tolerance,
                index=index,
            )
            for index, url in enumerate(urls)
        ]
        self._logs_range = self.settings.logs_range

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
        answers = await asyncio.gather(*(self._guarded(endpoint, ask) for endpoint in asked))
        heads = [(endpoint, header) for endpoint, header in zip(asked, answers, strict=True) if header is not None]
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

    async def get_block(self, block: BlockId) -> L1Header | None:
        """A block's header, None when no endpoint has it."""
        return await self._get_block(block, False, self._read_header)

    async def get_full_block(self, block: BlockId) -> L1Block | None:
        """A block with sender, nonce and hash of each transaction, None when no endpoint has it."""

        def read(value: Any) -> L1Block | None:
            return None if value is None else read_block(value, check_hash=self.settings.check_headers)

        return await self._get_block(block, True, read)

    async def _get_block(self, block: BlockId, full: bool, read: Callable[[Any], T | None]) -> T | None:
        by_hash = isinstance(block, bytes)
        method = "eth_getBlockByHash" if by_hash else "eth_getBlockByNumber"
        parameter = to_hex(block) if isinstance(block, bytes) else block_parameter(block)

        async def ask(endpoint: Endpoint) -> T:
            value = read(await endpoint.request(method, (parameter, full)))
            if value is None:
                raise EndpointBehind("it doesn't have the block")
            header = value.header if isinstance(value, L1Block) else value
            assert isinstance(header, L1Header)
            if (by_hash and header.hash != block) or (isinstance(block, int) and header.number != block):
                raise EndpointLies("it answered with another block than the one asked for")
            return value

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
        endpoint's own chain. The endpoint must have block `last`; raises `L1Unavailable` when none has.
        """
        found: list[L1Log] = []
        start = first
        while True:
            end = min(last, start + self._logs_range - 1)
            try:
                logs, header = await self._with_failover(
                    "eth_getLogs", self._logs_work(tuple(addresses), tuple(topics), start, end)
                )
            except ResultTooLarge:
                if end == start:
                    raise
                self._logs_range = max(1, (end - start + 1) // 2)
                continue
            except EndpointBehind:
                raise L1Unavailable("eth_getLogs", {"all": f"no endpoint has block {end} yet"}) from None
            found += logs
            if end >= last:
                return L1Logs(found, header)
            start = end + 1
            self._logs_range = min(self.settings.logs_range, self._logs_range * 2)

    def _logs_work(
        self, addresses: tuple[bytes, ...], topics: tuple[Sequence[bytes] | None, ...], first: int, last: int
    ) -> Callable[[Endpoint], Awaitable[tuple[list[L1Log], L1Header]]]:
        query: dict[str, Any] = {"fromBlock": hex(first), "toBlock": hex(last)}
        if addresses:
            query["address"] = [to_hex(address) for address in addresses]
        if topics:
            query["topics"] = [None if item is None else [to_hex(topic) for topic in item] for item in topics]

        def matches(entry: L1Log) -> bool:
            return (
                first <= entry.block_number <= last
                and (not addresses or entry.address in addresses)
                and len(entry.topics) >= len(topics)
                and all(
                    allowed is None or topic in allowed for topic, allowed in zip(entry.topics, topics, strict=False)
                )
            )

        async def once(endpoint: Endpoint) -> tuple[list[L1Log], L1Header] | None:
            answers = await endpoint.batch([("eth_getLogs", (query,)), ("eth_getBlockByNumber", (hex(last), False))])
            for answer in answers:
                if isinstance(answer, NodeError):
                    raise answer
            header = self._read_header(answers[1])
            if header is None:
                # It would have answered with the logs that it knows of, and nobody would miss the others.
                raise EndpointBehind(f"it doesn't have block {last}")
            logs = [read_log(entry) for entry in read_list(answers[0], "logs") if not _removed(entry)]
            if not all(matches(entry) for entry in logs):
                raise EndpointLies("it answered with logs that weren't asked for")
            logs.sort(key=lambda entry: (entry.block_number, entry.log_index))
            chain = {header.number: header.hash}
            missing = sorted({entry.block_number for entry in logs} - set(chain))
            for number, value in zip(
                missing,
                await endpoint.batch([("eth_getBlockByNumber", (hex(number), False)) for number in missing]),
                strict=True,
            ):
                if isinstance(value, NodeError):
                    raise value
                block = self._read_header(value)
                chain[number] = block.hash if block is not None else b""
            return (logs, header) if all(chain[entry.block_number] == entry.block_hash for entry in logs) else None

        async def ask(endpoint: Endpoint) -> tuple[list[L1Log], L1Header]:
            # A reorg between the requests looks like a lie once, not twice.
            answer = await once(endpoint) or await once(endpoint)
            if answer is None:
                raise EndpointLies("it answered with logs of blocks that aren't on its chain")
            return answer

        return ask

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
            blocks = await endpoint.batch([("eth_getBlockByNumber", (hex(number), False)) for number in numbers])
            chain: dict[int, bytes] = {}
            for number, value in zip(numbers, blocks, strict=True):
                if isinstance(value, NodeError):
                    raise value
                header = self._read_header(value)
                chain[number] = header.hash if header is not None else b""
            consistent = all(r is None or chain[r.block_number] == r.block_hash for r in receipts)
            return receipts if consistent else None

        async def ask(endpoint: Endpoint) -> list[L1Receipt | None]:
            answer = await once(endpoint) or await once(endpoint)
            if answer is None:
                raise EndpointLies("it answered with receipts of blocks that aren't on its chain")
            return answer

        return await self._with_failover("eth_getTransactionReceipt", ask) if hashes else []

    async def get_receipt(self, transaction_hash: bytes) -> L1Receipt | None:
        """A transaction's receipt, None when it isn't in a block."""
        return (await self.get_receipts([transaction_hash]))[0]

    async def known_transactions(self, hashes: Sequence[bytes]) -> list[bool]:
        """Whether the answering endpoint knows each transaction, in a block or in its pool."""
        answers = await self.batch([("eth_getTransactionByHash", (to_hex(item),)) for item in hashes])
        for answer in answers:
            if isinstance(answer, NodeError):
                raise answer
        return [answer is not None for answer in answers]

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
        return read_quantity(
            await self.request("eth_getTransactionCount", (to_hex(address), block_parameter(block))), "nonce"
        )

    async def get_balance(self, address: bytes, block: BlockId = "latest") -> int:
        """In wei."""
        return read_quantity(
            await self.request("eth_getBalance", (to_hex(address), block_parameter(block))), "balance", 256
        )

    async def get_code(self, address: bytes, block: BlockId = "latest") -> bytes:
        return read_data(await self.request("eth_getCode", (to_hex(address), block_parameter(block))), "code")

    async def call(self, request: CallRequest, block: BlockId = "latest") -> bytes:
        """eth_call. Raises `ExecutionReverted` with the revert's data."""
        return read_data(await self.request("eth_call", (request.to_json(), block_parameter(block))), "result")

    async def estimate_gas(self, request: CallRequest) -> int:
        """eth_estimateGas on the newest block. Raises `ExecutionReverted` and `CallFailed`."""
        return read_quantity(await self.request("eth_estimateGas", (request.to_json(),)), "gas")

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
            rewards = [
                read_quantity(reward[0], "reward", 256)
                for reward in read_list(value.get("reward") or [], "rewards")
                if reward
            ]
            return FeeHistory(base_fees[-1], blob_fees[-1] if blob_fees else 0, tuple(rewards))

        return await self._with_failover("eth_feeHistory", ask)

    async def get_blob_base_fee(self) -> int:
        """In wei a blob gas."""
        return read_quantity(await self.request("eth_blobBaseFee", ()), "blob base fee", 256)

    # sending

    async def send_raw(self, raw: bytes) -> None:
        """Offer a signed transaction to all endpoints; returns when at least one has it.

        Sending the same bytes again is harmless. Raises the nodes' refusal, `L1Unavailable` when none answered (it
        may have been accepted all the same), and `NonceTooLow` only when no endpoint has the transaction.
        """
        endpoints = self._order()
        answers = await asyncio.gather(*(self._offer(endpoint, raw) for endpoint in endpoints))
        if any(answer is None for answer in answers):
            return
        refusals = [answer for answer in answers if isinstance(answer, NodeError)]
        if refusals:
            # What most speaks for itself first: an endpoint that is behind may complain of a gap or of funds.
            raise next((error for error in refusals if isinstance(error, NonceTooLow)), refusals[0])
        raise L1Unavailable(
            "eth_sendRawTransaction",
            {endpoint.name: str(answer) for endpoint, answer in zip(endpoints, answers, strict=True)},
        )

    async def _offer(self, endpoint: Endpoint, raw: bytes) -> L1Error | None:
        try:
            answer = read_data(await endpoint.request("eth_sendRawTransaction", (to_hex(raw),)), "hash", 32)
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
            answer = await work(endpoint)
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
                    answer = await work(endpoint)
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
