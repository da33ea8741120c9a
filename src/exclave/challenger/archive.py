"""Claims' data kept in a directory, one file for each, named by the hash on L1: `<dataHash>.claim`.

Blobs vanish from L1 after weeks and operators may be gone, so a watchtower keeps what it has read. Whoever serves the
directory by HTTP lets others read it (`--archive URL`). Nothing in it is trusted: readers check it against L1's hashes.
"""

from __future__ import annotations

import os
from pathlib import Path


def file_name(data_hash: bytes) -> str:
    """The name of the file of a claim's data."""
    return f"{data_hash.hex()}.claim"


class Archive:
    """The directory. It is made when the first file is written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, data_hash: bytes) -> bytes | None:
        """The data of that hash, unchecked; None when it isn't there."""
        try:
            return (self._directory / file_name(data_hash)).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, data_hash: bytes, data: bytes) -> None:
        """Keep data, whole or not at all, also over a crash."""
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / file_name(data_hash)
        if path.exists():
            return
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
