"""Amounts on the command line."""

from __future__ import annotations

import pytest

from exclave.cli.amounts import read_ether


@pytest.mark.parametrize(
    ("text", "wei"), [("1", 10**18), ("0.05", 5 * 10**16), ("1e-18", 1), ("1e3", 10**21), ("0.10", 10**17)]
)
def test_amounts_of_ether_are_read_to_the_wei(text: str, wei: int) -> None:
    assert read_ether(text) == wei


@pytest.mark.parametrize("text", ["", "x", "-1", "1e-19", "0.0000000000000000015", "NaN", "sNaN", "Infinity", "1e11"])
def test_what_is_no_amount_ends_the_program(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for zero in (False, True):
        with pytest.raises(SystemExit):
            read_ether(text, zero=zero)
    assert "isn't an amount of ether" in capsys.readouterr().err


def test_nothing_is_an_amount_where_it_may_be() -> None:
    assert read_ether("0", zero=True) == 0
    with pytest.raises(SystemExit):
        read_ether("0")
