"""The one way to the node's private keys: `exclave.node.keys`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from support.anvil import account

from exclave.config import KeySource, SignerConfig
from exclave.l1 import LocalSigner, Web3Signer
from exclave.node.keys import load_key, make_signer
from exclave.node.supervisor import FatalError
from exclave.protocol import address_of

KEY = bytes(account(1).key)
ADDRESS = account(1).address


class Keystore:
    """A keystore file and its password's."""

    def __init__(self, directory: Path) -> None:
        self.path, self.password_path = directory / "key.json", directory / "password"
        self.content = Account.encrypt(KEY, "päss word", kdf="pbkdf2", iterations=10)
        self.path.write_text(json.dumps(self.content))
        self.password_path.write_text("päss word\n", encoding="utf-8")  # a line break at its end isn't part of it

    def source(self, **fields: Any) -> KeySource:
        return KeySource(**{"kind": "keystore", "keystore": self.path, "password_file": self.password_path, **fields})


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path)


async def refusal(source: KeySource, chain_id: int = 1, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(FatalError) as refused:
        await load_key(source, "operator", chain_id, environment or {})
    text = str(refused.value)
    assert text.startswith("operator: ")
    assert KEY.hex() not in text
    return text


async def test_a_keystore_and_its_password(keystore: Keystore) -> None:
    assert await load_key(keystore.source(), "operator", 1, {}) == KEY
    from_variable = keystore.source(password_file=None, password_variable="PASSWORD")
    assert await load_key(from_variable, "operator", 1, {"PASSWORD": "päss word"}) == KEY
    assert "set PASSWORD, or password_file" in await refusal(from_variable)
    assert "doesn't open" in await refusal(from_variable, environment={"PASSWORD": "wrong"})
    keystore.password_path.write_bytes(b"\xff")
    assert "can't read the password file" in await refusal(keystore.source())
    keystore.password_path.unlink()
    assert "can't read the password file" in await refusal(keystore.source())


async def test_what_is_no_keystore(keystore: Keystore) -> None:
    for broken in (
        "",
        "{}",
        "[]",
        '"x"',
        "5",
        '{"version": 3}',
        '{"crypto": {}, "version": 3}',
        '{"version": 1}',
        "[" * 100_000,
    ):
        keystore.path.write_text(broken)
        assert "keystore" in await refusal(keystore.source())
    keystore.path.unlink()
    assert "can't read the keystore" in await refusal(keystore.source())


async def test_a_keystore_must_be_of_the_address_that_it_states(keystore: Keystore) -> None:
    keystore.path.write_text(json.dumps({**keystore.content, "address": "0x" + ADDRESS[2:].upper()}))
    assert await load_key(keystore.source(), "operator", 1, {}) == KEY
    keystore.path.write_text(json.dumps({**keystore.content, "address": "11" * 20}))
    assert "another address" in await refusal(keystore.source())


async def test_a_key_in_the_environment_is_for_development_chains() -> None:
    environment = {"KEY": "0x" + KEY.hex(), "BARE": KEY.hex(), "SHORT": "0x1234", "EMPTY": "", "NOISE": "zz" * 32}
    environment["ZERO"] = "00" * 32

    def source(variable: str) -> KeySource:
        return KeySource(kind="environment", private_key_variable=variable)

    for name in ("KEY", "BARE"):
        assert await load_key(source(name), "operator", 31337, environment) == KEY
    assert "development chains only" in await refusal(source("KEY"), 1, environment)
    for name in ("MISSING", "EMPTY"):
        assert "not set" in await refusal(source(name), 31337, environment)
    for name in ("SHORT", "NOISE", "ZERO"):
        text = await refusal(source(name), 31337, environment)
        assert "not a private key" in text
        assert environment[name] not in text


async def test_the_signer_must_be_of_the_configured_address(keystore: Keystore) -> None:
    def config(**fields: Any) -> SignerConfig:
        return SignerConfig(
            **{"kind": "keystore", "keystore": keystore.path, "password_file": keystore.password_path, **fields}
        )

    for address in (None, ADDRESS):
        signer = await make_signer(config(address=address), 1)
        assert isinstance(signer, LocalSigner)
        assert signer.address == address_of(KEY)
    with pytest.raises(FatalError, match="the configuration says"):
        await make_signer(config(address=account(2).address), 1)
    remote = await make_signer(SignerConfig(kind="http", url="http://127.0.0.1:1", address=ADDRESS), 1)
    assert isinstance(remote, Web3Signer)
    assert remote.address == address_of(KEY)
    await remote.close()
