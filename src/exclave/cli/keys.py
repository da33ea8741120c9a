"""How commands are given the key of an account that isn't the node's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exclave.config import KeySource

Keystore = Annotated[Path | None, typer.Option(help="Encrypted key file of the account.")]
PasswordFile = Annotated[Path | None, typer.Option(help="File with the keystore's password.")]
KeyVariable = Annotated[
    str, typer.Option(help="Environment variable with the account's key, without --keystore (development chains only).")
]


def key_source(keystore: Path | None, password_file: Path | None, variable: str) -> KeySource:
    """Where the key is."""
    return KeySource.model_validate(
        {
            "kind": "environment" if keystore is None else "keystore",
            "keystore": keystore,
            "password_file": password_file,
            "private_key_variable": variable,
        }
    )
