from __future__ import annotations

from collections.abc import Callable

import ckzg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from l1.bench import Bench
from l1.counter import INCREMENT

from exclave.l1 import IntentState
from exclave.l1.blobs import (
    BYTES_PER_BLOB,
    MAX_BLOBS_PER_TRANSACTION,
    BlobDataTooLarge,
    BlobError,
    MalformedBlob,
    blob_capacity,
    blobs_needed,
    build_sidecar,
    network_form,
    pack_blobs,
    trusted_setup,
    unpack_blobs,
    verify_blob,
    versioned_hash,
)

MakeBench = Callable[..., Bench]


@given(st.binary(max_size=2000), st.integers(0, 5))
@settings(max_examples=50)
def test_packing_round_trips(tail: bytes, blobs: int) -> None:
    data = bytes([7]) * (blobs * 126_000) + tail
    packed = pack_blobs(data)
    assert len(packed) == blobs_needed(len(data))
    assert all(len(blob) == BYTES_PER_BLOB for blob in packed)
    assert unpack_blobs(packed) == data


def test_packing_follows_the_protocol() -> None:
    blob = pack_blobs(bytes(range(1, 41)))[0]
    assert blob[:32] == b"\0" + (40).to_bytes(4, "big") + bytes(range(1, 28))
    assert blob[32:46] == b"\0" + bytes(range(28, 41))
    assert not any(blob[46:])


def test_capacity() -> None:
    for count in range(1, MAX_BLOBS_PER_TRANSACTION + 1):
        full = blob_capacity(count)
        assert len(pack_blobs(b"x" * full)) == count
        assert unpack_blobs(pack_blobs(b"x" * full)) == b"x" * full
        assert blobs_needed(full + 1) == count + 1
    with pytest.raises(BlobDataTooLarge):
        pack_blobs(bytes(blob_capacity() + 1))


def test_garbage_is_told_apart() -> None:
    good = pack_blobs(b"hello")[0]

    def with_byte(index: int, value: int) -> bytes:
        return good[:index] + bytes([value]) + good[index + 1 :]

    for bad in (
        [],
        [good[:-1]],
        [with_byte(0, 1)],  # a field element above 31 bytes
        [with_byte(64, 1)],
        [with_byte(BYTES_PER_BLOB - 1, 1)],  # bytes after the data
        [with_byte(10, 1)],
        [with_byte(1, 255)],  # a length beyond the blob
        [good, bytes(BYTES_PER_BLOB)],  # a blob too many
    ):
        with pytest.raises(MalformedBlob):
            unpack_blobs(bad)


@given(st.binary(min_size=64, max_size=64), st.integers(0, 4095 * 32))
@settings(max_examples=100)
def test_unpacking_noise_is_a_typed_error_or_data(noise: bytes, place: int) -> None:
    blob = bytearray(pack_blobs(b"hello" * 1000)[0])
    blob[place : place + 64] = noise[: BYTES_PER_BLOB - place]
    try:
        data = unpack_blobs([bytes(blob)])
    except MalformedBlob:
        return
    assert pack_blobs(data) == (bytes(blob),)


def test_the_set_up_is_loaded_once() -> None:
    assert trusted_setup() is trusted_setup()


def test_sidecars_prove_their_blobs() -> None:
    blobs = pack_blobs(b"data" * 40_000)
    sidecar = build_sidecar(blobs)
    assert len(blobs) == 2
    assert sidecar.versioned_hashes == tuple(versioned_hash(c) for c in sidecar.commitments)
    assert all(verify_blob(b, h) for b, h in zip(blobs, sidecar.versioned_hashes, strict=True))
    assert not verify_blob(blobs[0], sidecar.versioned_hashes[1])
    cells = ckzg.compute_cells(blobs[1], trusted_setup())
    commitments = [sidecar.commitments[1]] * 128
    proofs = list(sidecar.cell_proofs[128:])
    assert ckzg.verify_cell_kzg_proof_batch(commitments, list(range(128)), cells, proofs, trusted_setup())


def test_bad_blobs_get_typed_errors() -> None:
    with pytest.raises(BlobError):
        build_sidecar([])
    with pytest.raises(BlobError):
        build_sidecar([bytes(BYTES_PER_BLOB)] * 7)
    with pytest.raises(MalformedBlob):
        build_sidecar([bytes(5)])
    with pytest.raises(MalformedBlob):
        build_sidecar([b"\xff" * BYTES_PER_BLOB])  # not below the modulus
    with pytest.raises(MalformedBlob):
        verify_blob(bytes(7), bytes(32))
    with pytest.raises(BlobError):
        network_form(b"\x02", build_sidecar([bytes(BYTES_PER_BLOB)]))


async def test_blobs_are_mined_and_can_be_read_back(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    data = bytes(i * 7 % 251 for i in range(150_000))
    await manager.submit(b.intent(data=INCREMENT, blobs=pack_blobs(data)))
    record = await b.settle(manager)
    assert (record.state, record.blob_count) == (IntentState.CONFIRMED, 2)
    assert b.counter.value() == 1
    assert record.transaction_hash is not None
    transaction = b.node.rpc("eth_getTransactionByHash", "0x" + record.transaction_hash.hex())
    assert transaction["type"] == "0x3"
    hashes = [bytes.fromhex(item[2:]) for item in transaction["blobVersionedHashes"]]
    blobs = b.node.rpc("anvil_getBlobsByTransactionHash", "0x" + record.transaction_hash.hex())
    read = [bytes.fromhex(blob[2:]) for blob in blobs]
    assert all(verify_blob(blob, expected) for blob, expected in zip(read, hashes, strict=True))
    assert unpack_blobs(read) == data


async def test_stuck_blob_transactions_are_replaced_at_twice_the_fees(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent(blobs=pack_blobs(b"data")))
    await manager.step()
    b.clock.seconds += 40
    await manager.step()
    first, second = (await manager.status("count")).attempts
    for name in ("max_fee_per_gas", "max_priority_fee_per_gas", "max_fee_per_blob_gas"):
        assert getattr(second.fees, name) >= 2 * getattr(first.fees, name)
    assert (await b.settle(manager)).transaction_hash == second.hash
    assert b.counter.value() == 1


async def test_a_late_blob_transaction_is_taken_back_by_a_blob_transaction(bench: MakeBench) -> None:
    """Pools let nothing else replace it."""
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent(blobs=pack_blobs(b"data"), not_after=int(b.clock.seconds) + 5))
    await manager.step()
    b.clock.seconds += 6
    await manager.step()
    cancel = (await manager.status("count")).attempts[-1]
    assert cancel.raw[0] == 3
    assert (await b.settle(manager)).state is IntentState.ABANDONED
    assert b.counter.value() == 0


async def test_the_two_kinds_are_never_on_their_way_at_once(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent("blob", blobs=pack_blobs(b"data")))
    await manager.submit(b.intent("plain"))
    await manager.submit(b.intent("blob again", blobs=pack_blobs(b"more")))
    await manager.step()
    assert (await manager.status("plain")).state is IntentState.QUEUED
    for key in ("blob", "plain", "blob again"):
        assert (await b.settle(manager, key)).state is IntentState.CONFIRMED
    assert b.counter.value() == 3


async def test_blobs_survive_a_restart(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent(blobs=pack_blobs(b"data")))
    await manager.step()
    await manager.stop()
    b.node.rpc("anvil_dropAllTransactions")
    successor = await b.manager()
    record = await b.settle(successor)
    assert (record.state, len(record.attempts)) == (IntentState.CONFIRMED, 1)
