from __future__ import annotations

import re
from pathlib import Path

import pytest

from exclave.config import Config, ConfigError, load_config
from exclave.config_reference import file_template, reference_page, sections

ADDRESS = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
MINIMAL = f"""
[l1]
rpc_urls = ["http://127.0.0.1:8545"]
chain_id = 31337
zk_relayer = "{ADDRESS}"
[signer]
kind = "environment"
[operator]
keystore = "operator.json"
"""


def load(tmp_path: Path, text: str, **environment: str) -> Config:
    path = tmp_path / "exclave.toml"
    path.write_text(text)
    return load_config(path, environment)


def problems(tmp_path: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text, **environment)
    return [str(problem).replace(str(tmp_path), "") for problem in refused.value.problems]


def test_defaults_and_paths_relative_to_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL)
    assert config.node.port == 8645
    assert config.node.data_dir == tmp_path / "exclave-data"
    assert config.operator.keystore == tmp_path / "operator.json"
    assert config.database_url == f"sqlite:///{tmp_path}/exclave-data/exclave.db"


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        MINIMAL,
        EXCLAVE_NODE__PORT="9000",
        EXCLAVE_L1__RPC_URLS="http://a:1, https://b/key",
        EXCLAVE_COORDINATOR__ENABLED="false",
        EXCLAVE_FEES__LOW_BALANCE_ETHER="0.25",
        EXCLAVE_PRIVATE_KEY="not a key of the configuration",
    )
    assert config.node.port == 9000
    assert [url.get_secret_value() for url in config.l1.rpc_urls] == ["http://a:1", "https://b/key"]
    assert config.coordinator.enabled is False
    assert str(config.fees.low_balance_ether) == "0.25"


def test_the_environment_alone_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(
        None,
        {
            "EXCLAVE_L1__RPC_URLS": "http://a",
            "EXCLAVE_L1__CHAIN_ID": "1",
            "EXCLAVE_L1__ZK_RELAYER": ADDRESS.lower(),
            "EXCLAVE_SIGNER__KIND": "environment",
            "EXCLAVE_OPERATOR__KIND": "environment",
        },
    )
    assert config.l1.zk_relayer == ADDRESS


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("chain_id = 31337", 'chain_id = "one"'), "/exclave.toml:4: l1.chain_id: Input should be a valid integer"),
        (
            ("chain_id = 31337", ""),
            "/exclave.toml:2: l1.chain_id: missing: set it in the table [l1] or in $EXCLAVE_L1__CHAIN_ID",
        ),
        ((ADDRESS, "0x12"), "/exclave.toml:5: l1.zk_relayer: not an address"),
        ((ADDRESS, ADDRESS.replace("5B", "5b")), "/exclave.toml:5: l1.zk_relayer: its checksum is wrong"),
        (("[signer]", "[signer]\nkinds = 1"), "/exclave.toml:7: signer.kinds: unknown key. Known here: address, key"),
        (("[signer]", "[signr]\n[signer]"), "/exclave.toml:6: signr: unknown key. Known here: accept, coordinator"),
        (('"environment"', '"http"'), "/exclave.toml:6: signer: kind = \"http\" needs the keys 'url' and 'address'"),
        (('keystore = "operator.json"', ""), "/exclave.toml:8: operator: kind = \"keystore\" needs the key 'keystore'"),
        (
            ("http://127.0.0.1:8545", "127.0.0.1:8545"),
            "/exclave.toml:3: l1.rpc_urls.0: not a URL of the form http://host",
        ),
        (("[operator]", "[operator"), "/exclave.toml: isn't TOML: Expected ']'"),
    ],
)
def test_errors_name_key_line_and_remedy(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    found = problems(tmp_path, MINIMAL.replace(*change))
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_errors_of_the_environment_name_the_variable(tmp_path: Path) -> None:
    found = problems(tmp_path, MINIMAL, EXCLAVE_NODE__PORT="99999", EXCLAVE_NODE__PROT="1", EXCLAVE_X__Y="1")
    variables = [problem.split(":")[0] for problem in sorted(found)]
    assert variables == ["$EXCLAVE_NODE__PORT", "$EXCLAVE_NODE__PROT", "$EXCLAVE_X__Y"]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "[node]\nport = -1\nhots = 1\n")) == 5


def test_a_missing_file_and_other_databases_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exclave config init"):
        load_config(tmp_path / "nothing.toml", {})
    found = problems(tmp_path, MINIMAL, EXCLAVE_NODE__DATABASE_URL="mysql://user:hunter2@host/database")
    assert "postgresql://" in found[0] and "hunter2" not in found[0]


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    text = MINIMAL.replace("http://127.0.0.1:8545", "https://me:hunter2@l1.example/v2/hunter2?key=hunter2")
    config = load(tmp_path, text, EXCLAVE_NODE__DATABASE_URL="postgresql://exclave:hunter2@host/database")
    assert "hunter2" not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
    assert "https://***@l1.example/..." in repr(config)
    assert config.database_url == "postgresql://exclave:hunter2@host/database"


def test_the_file_of_config_init_is_valid_and_has_every_key(tmp_path: Path) -> None:
    text = file_template()
    config = load(tmp_path, text)
    assert config.l1.chain_id == 31337
    for _, _, keys in sections():
        for key in keys:
            assert f"{key.name} =" in text
            assert key.description.endswith("."), f"{key.path} needs a description"
    # The defaults that the comments show are the real ones: written out, they change nothing.
    shown = "".join(f"{line[2:]}\n" if re.match(r"# \w+ = .", line) else f"{line}\n" for line in text.splitlines())
    assert load(tmp_path, shown) == config


def test_the_reference_page_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert page.read_text() == reference_page(), "run: exclave config reference > docs/configuration.md"
