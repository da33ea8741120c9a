"""Blobs of EIP-4844: data packed into them, commitments, cell proofs (EIP-7594), and their network form.

The trusted set-up of the Ethereum KZG ceremony takes seconds to load; it is loaded once, on first use.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import importlib.util
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ckzg  # type: ignore[import-not-found]

from exclave.l1.errors import L1Error
from exclave.protocol.fields import decode_rlp, encode_rlp

FIELD_ELEMENTS_PER_BLOB: Final = 4096
BYTES_PER_FIELD_ELEMENT: Final = 32
BYTES_PER_BLOB: Final = FIELD_ELEMENTS_PER_BLOB * BYTES_PER_FIELD_ELEMENT
CELLS_PER_EXT_BLOB: Final = 128
MAX_BLOBS_PER_TRANSACTION: Final = 6  # EIP-7594
WRAPPER_VERSION: Final = 1  # EIP-7594
VERSIONED_HASH_VERSION_KZG: Final = 1  # EIP-4844

USABLE_BYTES_PER_ELEMENT: Final = 31  # the first byte is zero, so that every element is below the field's modulus
USABLE_BYTES_PER_BLOB: Final = FIELD_ELEMENTS_PER_BLOB * USABLE_BYTES_PER_ELEMENT
LENGTH_BYTES: Final = 4

# The mainnet ceremony's output (consensus-specs, trusted_setup_4096), as eth-account ships it.
_SETUP_PACKAGE: Final = "eth_account"
_SETUP_FILE: Final = "typed_transactions/blob_transactions/kzg_trusted_setup.txt"
_SETUP_SHA256: Final = "d39b9f2d047cc9dca2de58f264b6a09448ccd34db967881a6713eacacf0f26b7"
_PRECOMPUTE: Final = 0


class BlobError(L1Error):
    """Blobs can't be made, or don't hold what they should."""


class BlobDataTooLarge(BlobError):
    """The data doesn't fit into the blobs of one transaction."""


class MalformedBlob(BlobError):
    """The blobs weren't packed by `pack_blobs`."""


class TrustedSetupInvalid(BlobError):
    """The installed trusted set-up isn't the Ethereum ceremony's."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What travels with a blob transaction but isn't in a block. `cell_proofs` has 128 for each blob."""

    blobs: tuple[bytes, ...]
    commitments: tuple[bytes, ...]
    cell_proofs: tuple[bytes, ...]

    @property
    def versioned_hashes(self) -> tuple[bytes, ...]:
        return tuple(versioned_hash(commitment) for commitment in self.commitments)


def blobs_needed(length: int) -> int:
    """How many blobs `length` bytes of data take (at least one)."""
    return max(1, -(-(length + LENGTH_BYTES) // USABLE_BYTES_PER_BLOB))


def blob_capacity(blobs: int = MAX_BLOBS_PER_TRANSACTION) -> int:
    """How many bytes of data fit into that many blobs."""
    return blobs * USABLE_BYTES_PER_BLOB - LENGTH_BYTES


def pack_blobs(data: bytes) -> tuple[bytes, ...]:
    """Data as blobs: its 4-byte length, then itself, 31 bytes a field element (docs/protocol.md 8).

    Raises `BlobDataTooLarge` for more than the blobs of one transaction hold.
    """
    if len(data) > blob_capacity():
        raise BlobDataTooLarge(
            f"{len(data)} bytes don't fit into the {MAX_BLOBS_PER_TRANSACTION} blobs of one transaction, which hold "
            f"{blob_capacity()}: claim fewer sessions at once"
        )
    count = blobs_needed(len(data))
    stream = (len(data).to_bytes(LENGTH_BYTES, "big") + data).ljust(count * USABLE_BYTES_PER_BLOB, b"\0")
    packed = bytearray(count * BYTES_PER_BLOB)
    for byte in range(USABLE_BYTES_PER_ELEMENT):
        packed[byte + 1 :: BYTES_PER_FIELD_ELEMENT] = stream[byte::USABLE_BYTES_PER_ELEMENT]
    return tuple(bytes(packed[i : i + BYTES_PER_BLOB]) for i in range(0, len(packed), BYTES_PER_BLOB))


def unpack_blobs(blobs: Sequence[bytes]) -> bytes:
    """Inverse of `pack_blobs`. Raises `MalformedBlob` for anything that it doesn't make."""
    if not blobs:
        raise MalformedBlob("there are no blobs")
    if any(len(blob) != BYTES_PER_BLOB for blob in blobs):
        raise MalformedBlob(f"a blob has {BYTES_PER_BLOB} bytes")
    packed = b"".join(blobs)
    if any(packed[::BYTES_PER_FIELD_ELEMENT]):
        raise MalformedBlob("a field element doesn't start with a zero byte")
    stream = bytearray(len(blobs) * USABLE_BYTES_PER_BLOB)
    for byte in range(USABLE_BYTES_PER_ELEMENT):
        stream[byte::USABLE_BYTES_PER_ELEMENT] = packed[byte + 1 :: BYTES_PER_FIELD_ELEMENT]
    length = int.from_bytes(stream[:LENGTH_BYTES], "big")
    end = LENGTH_BYTES + length
    if end > len(stream):
        raise MalformedBlob(f"the length {length} exceeds what the blobs hold")
    if len(blobs) != blobs_needed(length):
        raise MalformedBlob(f"{length} bytes need {blobs_needed(length)} blobs, there are {len(blobs)}")
    if any(stream[end:]):
        raise MalformedBlob("bytes follow the data")
    return bytes(stream[LENGTH_BYTES:end])


def versioned_hash(commitment: bytes) -> bytes:
    """kzg_to_versioned_hash (EIP-4844)."""
    return bytes([VERSIONED_HASH_VERSION_KZG]) + hashlib.sha256(commitment).digest()[1:]


def build_sidecar(blobs: Sequence[bytes]) -> Sidecar:
    """Commitments and cell proofs of blobs: half a second of computation for each.

    Raises `BlobError` for a number of blobs that no transaction can have, `MalformedBlob` for bytes that are no blob.
    """
    if not 1 <= len(blobs) <= MAX_BLOBS_PER_TRANSACTION:
        raise BlobError(f"a blob transaction has 1 to {MAX_BLOBS_PER_TRANSACTION} blobs, not {len(blobs)}")
    setup = trusted_setup()
    commitments, proofs = [], []
    for blob in blobs:
        if len(blob) != BYTES_PER_BLOB:
            raise MalformedBlob(f"a blob has {BYTES_PER_BLOB} bytes, not {len(blob)}")
        try:
            commitments.append(bytes(ckzg.blob_to_kzg_commitment(blob, setup)))
            proofs += [bytes(proof) for proof in ckzg.compute_cells_and_kzg_proofs(blob, setup)[1]]
        except RuntimeError as error:
            raise MalformedBlob("a field element isn't below the modulus") from error
    return Sidecar(tuple(blobs), tuple(commitments), tuple(proofs))


async def build_sidecar_in_thread(blobs: Sequence[bytes]) -> Sidecar:
    """`build_sidecar` without blocking the event loop."""
    return await asyncio.to_thread(build_sidecar, blobs)


def verify_blob(blob: bytes, expected: bytes) -> bool:
    """Whether a blob is the one of a versioned hash. Raises `MalformedBlob`."""
    try:
        return versioned_hash(bytes(ckzg.blob_to_kzg_commitment(blob, trusted_setup()))) == expected
    except (RuntimeError, ValueError) as error:
        raise MalformedBlob("not a blob") from error


def network_form(signed: bytes, sidecar: Sidecar) -> bytes:
    """A signed blob transaction as nodes take it: `0x03 || rlp([payload, 1, blobs, commitments, cell proofs])`
    (EIP-7594).
    """
    if signed[:1] != b"\x03":
        raise BlobError("not a blob transaction")
    payload = decode_rlp(signed[1:], "transaction")
    return b"\x03" + encode_rlp(
        [payload, WRAPPER_VERSION, list(sidecar.blobs), list(sidecar.commitments), list(sidecar.cell_proofs)]
    )


_loading = threading.Lock()


def trusted_setup() -> Any:
    """The loaded set-up of the Ethereum KZG ceremony; the first call takes seconds. Raises `TrustedSetupInvalid`."""
    with _loading:  # two threads would load it twice
        return _load_trusted_setup()


@functools.cache
def _load_trusted_setup() -> Any:
    # Found, not imported: see signers._decrypt for what importing it does to the process.
    package = importlib.util.find_spec(_SETUP_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise TrustedSetupInvalid("eth-account, which brings the trusted set-up, isn't installed")
    path = Path(package.submodule_search_locations[0], _SETUP_FILE)
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise TrustedSetupInvalid(f"can't read the trusted set-up {path}: {error.strerror}") from error
    if found != _SETUP_SHA256:
        raise TrustedSetupInvalid(
            f"{path} isn't the trusted set-up of the Ethereum KZG ceremony: reinstall eth-account"
        )
    return ckzg.load_trusted_setup(str(path), _PRECOMPUTE)
