"""The node's keys: the operator's, which signs preconfirmations in the engine, and the signer of L1 transactions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from exclave.config import KeySource, SignerConfig
from exclave.l1.signers import DEVELOPMENT_CHAINS, LocalSigner, Signer, SignerError, Web3Signer, read_keystore
from exclave.node.supervisor import FatalError
from exclave.protocol import InvalidSignature, address_bytes, address_of


async def load_key(source: KeySource, what: str, chain_id: int, environment: Mapping[str, str] | None = None) -> bytes:
    """A private key (32 bytes): the node's only way to one. `what` names it in errors, which never show it.

    Raises `FatalError` that says what is missing. A plain key in the environment is for development chains only.
    """
    variables = os.environ if environment is None else environment
    if source.kind == "environment":
        return _from_environment(source.private_key_variable, what, chain_id, variables)
    assert source.keystore is not None, "the configuration was validated"
    if source.password_file is not None:
        try:
            password = source.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise FatalError(
                f"{what}: can't read the password file {source.password_file}: {type(error).__name__}"
            ) from None
    else:
        found = variables.get(source.password_variable)
        if found is None:
            raise FatalError(
                f"{what}: the keystore's password is missing: set {source.password_variable}, or password_file in the "
                "configuration"
            )
        password = found
    try:
        return await asyncio.to_thread(read_keystore, source.keystore, password)
    except SignerError as error:
        raise FatalError(f"{what}: {error}") from None


def _from_environment(variable: str, what: str, chain_id: int, variables: Mapping[str, str]) -> bytes:
    if chain_id not in DEVELOPMENT_CHAINS:
        raise FatalError(
            f"{what}: a plain key in the environment ({variable}) is for development chains only, and L1 is chain "
            f"{chain_id}: use a keystore"
        )
    value = variables.get(variable, "").strip()
    if not value:
        raise FatalError(f"{what}: the environment variable {variable} is not set: it should hold a private key in hex")
    try:
        key = bytes.fromhex(value.removeprefix("0x"))
        if len(key) != 32:  # address_of would pad it: a key that was cut off is another key
            raise ValueError
        address_of(key)
    except (ValueError, InvalidSignature):
        raise FatalError(f"{what}: {variable} is not a private key: 32 bytes in hex are expected") from None
    return key


async def make_signer(config: SignerConfig, chain_id: int, environment: Mapping[str, str] | None = None) -> Signer:
    """The signer of L1 transactions. Raises `FatalError`."""
    expected = None if config.address is None else address_bytes(config.address)
    if config.kind == "http":
        assert config.url is not None and expected is not None, "the configuration was validated"
        return Web3Signer(config.url.get_secret_value(), expected)
    signer = LocalSigner(await load_key(config, "signer", chain_id, environment))
    if expected is not None and signer.address != expected:
        raise FatalError(f"signer: the key is of 0x{signer.address.hex()}, the configuration says {config.address}")
    return signer
