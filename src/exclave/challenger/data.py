"""Where claims' data comes from. All of it is checked against the hashes on L1, so no source is trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import structlog

from exclave.challenger.archive import Archive, file_name
from exclave.challenger.calls import find_calls, optional
from exclave.config import redact_url
from exclave.coordinator.calls import CLAIM_SELECTOR, read_claim_data
from exclave.l1.blobs import BlobError, MalformedBlob, blob_capacity, pack_blobs, unpack_blobs, verify_blob
from exclave.l1.client import L1Client
from exclave.l1.errors import L1Error
from exclave.l1.signers import DEVELOPMENT_CHAINS
from exclave.protocol import DataMode, keccak256
from exclave.protocol.errors import ProtocolError
from exclave.rpc.client import RpcClient, RpcFailure
from exclave.store import Claim

log = structlog.get_logger(__name__)

MAX_DATA_BYTES = 64 * 1024 * 1024
"""More isn't read from anybody: a claim's data is at most half as long."""


class DataMissing(Exception):
    """No source has a claim's data. `reasons` by source."""

    def __init__(self, reasons: dict[str, str]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "no source is known")


class _Unsuitable(Exception):
    """What a source gave isn't the claim's data, or it gave nothing. The text says why."""


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Where to look besides L1: URLs of nodes' JSON-RPC, archives (directories or URLs), a beacon node's API."""

    rpc_urls: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    beacon_url: str | None = None
    timeout: float = 20.0


class DataSources:
    """Finds claims' data, and keeps it in `archive`."""

    def __init__(self, l1: L1Client, zk_relayer: bytes, archive: Archive, settings: SourceSettings) -> None:
        self._l1 = l1
        self._zk_relayer = zk_relayer
        self._archive = archive
        self._settings = settings
        self._http = httpx.AsyncClient(timeout=settings.timeout, follow_redirects=False)

    async def close(self) -> None:
        await self._http.aclose()

    def kept(self, claim: Claim) -> bytes | None:
        """The data that was found before, None if there is none. Unchecked: this watchtower's own directory."""
        return self._archive.get(claim.data_hash) if claim.data_hash is not None else None

    async def fetch(self, claim: Claim, mode: DataMode) -> bytes:
        """A claim's data, as it was posted. Blobs that hold no data give an empty string, which is no claim's data.

        Raises `DataMissing`.
        """
        reasons: dict[str, str] = {}
        assert claim.data_hash is not None, "every claim on L1 has one"
        for name, source in self._sources(claim, mode):
            try:
                data = await source()
            except _Unsuitable as reason:
                reasons[name] = str(reason)
                continue
            await asyncio.to_thread(self._archive.put, claim.data_hash, data)
            return data
        raise DataMissing(reasons)

    def _sources(self, claim: Claim, mode: DataMode) -> list[tuple[str, Callable[[], Awaitable[bytes]]]]:
        """In the order in which they are asked: what is near first, the operator last."""
        sources: list[tuple[str, Callable[[], Awaitable[bytes]]]] = [
            ("kept", lambda: self._from_own(claim, mode)),
        ]
        if mode is DataMode.CALLDATA:
            sources.append(("L1", lambda: self._from_calldata(claim)))
        if mode is DataMode.BLOB:
            if self._settings.beacon_url is not None:
                url = self._settings.beacon_url
                sources.append(("beacon node", lambda: self._from_beacon(claim, url)))
            if self._l1.chain_id in DEVELOPMENT_CHAINS:
                sources.append(("development node", lambda: self._from_anvil(claim)))
        for place in self._settings.archives:
            sources.append((f"archive {redact_url(place)}", _bound(self._from_archive, claim, mode, place)))
        for url in self._settings.rpc_urls:
            sources.append((f"node {redact_url(url)}", _bound(self._from_node, claim, mode, url)))
        return sources

    # -- sources ----------------------------------------------------------------------------------------------------

    async def _from_own(self, claim: Claim, mode: DataMode) -> bytes:
        assert claim.data_hash is not None
        found = await asyncio.to_thread(self._archive.get, claim.data_hash)
        if found is None:
            raise _Unsuitable("not read yet")
        return await asyncio.to_thread(check_data, claim, mode, found)

    async def _from_calldata(self, claim: Claim) -> bytes:
        """From the transaction that made the claim, or the calls that it made."""
        try:
            calls = await find_calls(self._l1, claim.l1_transaction_hash, self._zk_relayer, CLAIM_SELECTOR)
        except L1Error as error:
            raise _Unsuitable(str(error)) from error
        for call in calls:
            try:
                data = read_claim_data(call)
            except ProtocolError:
                continue
            if keccak256(data) == claim.data_hash:
                return data
        raise _Unsuitable("no endpoint shows the call in the claim's transaction")

    async def _from_beacon(self, claim: Claim, url: str) -> bytes:
        """`GET /eth/v1/beacon/blobs/{slot}` of the slot in which the claim's L1 block was proposed."""
        base = url.rstrip("/")
        slot = claim.l1_block_number  # as development nodes number their slots
        spec = await self._get_json(f"{base}/eth/v1/config/spec", missing_ok=True)
        if spec is not None:
            genesis = await self._get_json(f"{base}/eth/v1/beacon/genesis")
            try:
                elapsed = claim.claimed_at - int(genesis["data"]["genesis_time"])
                slot = elapsed // int(spec["data"]["SECONDS_PER_SLOT"])
            except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
                raise _Unsuitable("its answers aren't those of a beacon node") from error
        hashes = "&".join(f"versioned_hashes=0x{value.hex()}" for value in claim.blob_hashes)
        answer = await self._get_json(f"{base}/eth/v1/beacon/blobs/{slot}?{hashes}")
        return await asyncio.to_thread(_from_blobs, claim, _hex_list(answer.get("data")))

    async def _from_anvil(self, claim: Claim) -> bytes:
        name = "0x" + claim.l1_transaction_hash.hex()
        answer = await optional(self._l1, "anvil_getBlobsByTransactionHash", name)
        return await asyncio.to_thread(_from_blobs, claim, _hex_list(answer))

    async def _from_archive(self, claim: Claim, mode: DataMode, place: str) -> bytes:
        assert claim.data_hash is not None
        name = file_name(claim.data_hash)
        if place.startswith(("http://", "https://")):
            found = await self._get(f"{place.rstrip('/')}/{name}")
        else:
            try:
                found = await asyncio.to_thread((Path(place) / name).read_bytes)
            except OSError as error:
                raise _Unsuitable(error.strerror or "it can't be read") from error
        return await asyncio.to_thread(check_data, claim, mode, found)

    async def _from_node(self, claim: Claim, mode: DataMode, url: str) -> bytes:
        client = RpcClient(url, timeout=self._settings.timeout)
        try:
            answer = await asyncio.to_thread(client.call, "zkcop_getClaimData", hex(claim.claim_id))
            data = bytes.fromhex(answer["data"][2:])
        except RpcFailure as error:
            raise _Unsuitable(str(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            raise _Unsuitable("its answer can't be read") from error
        return await asyncio.to_thread(check_data, claim, mode, data)

    async def _get_json(self, url: str, *, missing_ok: bool = False) -> Any:
        try:
            response = await self._http.get(url)
            if response.status_code == 404 and missing_ok:
                return None
            response.raise_for_status()
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _Unsuitable(f"no answer that can be used ({type(error).__name__})") from error
        if not isinstance(answer, dict):
            raise _Unsuitable("its answer can't be read")
        return answer

    async def _get(self, url: str) -> bytes:
        """At most `MAX_DATA_BYTES`."""
        content = bytearray()
        try:
            async with self._http.stream("GET", url) as response:
                response.raise_for_status()
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > MAX_DATA_BYTES:
                        raise _Unsuitable("it answers with too much")
        except httpx.HTTPStatusError as error:
            raise _Unsuitable(f"HTTP status {error.response.status_code}") from error
        except httpx.HTTPError as error:
            raise _Unsuitable(f"no answer ({type(error).__name__})") from error
        return bytes(content)


def check_data(claim: Claim, mode: DataMode, data: bytes) -> bytes:
    """The data, if it is what the claim's hashes on L1 commit to. Raises `_Unsuitable`."""
    if mode is not DataMode.BLOB:
        if keccak256(data) != claim.data_hash:
            raise _Unsuitable("it has other data")
        return data
    if len(data) > blob_capacity(len(claim.blob_hashes)):
        raise _Unsuitable("it has more data than the claim's blobs hold")
    return _from_blobs(claim, list(pack_blobs(data)))


def _from_blobs(claim: Claim, blobs: Sequence[bytes]) -> bytes:
    """What the blobs hold, if they are the claim's, in order."""
    if len(blobs) != len(claim.blob_hashes):
        raise _Unsuitable(f"it has {len(blobs)} of {len(claim.blob_hashes)} blobs")
    try:
        if not all(verify_blob(blob, expected) for blob, expected in zip(blobs, claim.blob_hashes, strict=True)):
            raise _Unsuitable("it has other blobs")
    except BlobError as error:
        raise _Unsuitable("it has something that isn't a blob") from error
    try:
        return unpack_blobs(blobs)
    except MalformedBlob:
        # The claimant's own doing: the blobs are the claim's, and hold nothing.
        return b""


def _hex_list(value: Any) -> list[bytes]:
    if not isinstance(value, list):
        raise _Unsuitable("it has no blobs of that block")
    try:
        return [bytes.fromhex(item.removeprefix("0x")) for item in value]
    except (AttributeError, TypeError, ValueError) as error:
        raise _Unsuitable("its answer can't be read") from error


def _bound(
    source: Callable[[Claim, DataMode, str], Awaitable[bytes]], claim: Claim, mode: DataMode, place: str
) -> Callable[[], Awaitable[bytes]]:
    return lambda: source(claim, mode, place)
