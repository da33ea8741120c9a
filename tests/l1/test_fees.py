from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exclave.l1.client import FeeHistory
from exclave.l1.fees import FeeSettings, gas_limit_for, replacement_fees, suggest_fees
from exclave.l1.transactions import MAX_TRANSACTION_GAS, Fees

wei = st.integers(0, 10**13)
settings_ = st.builds(
    FeeSettings,
    min_priority_fee=st.integers(0, 10**9),
    max_priority_fee=st.integers(10**9, 10**11),
    max_fee_per_gas=st.integers(10**9, 10**13),
    max_fee_per_blob_gas=st.integers(1, 10**13),
)
histories = st.builds(FeeHistory, wei, wei, st.lists(wei, max_size=10).map(tuple))


@given(histories, settings_, st.booleans())
def test_suggestions_stay_within_the_caps_and_are_valid(
    history: FeeHistory, settings: FeeSettings, blobs: bool
) -> None:
    suggestion = suggest_fees(history, settings, blobs=blobs)
    fees = suggestion.fees
    assert fees.max_priority_fee_per_gas <= fees.max_fee_per_gas <= settings.max_fee_per_gas
    assert fees.max_fee_per_blob_gas <= settings.max_fee_per_blob_gas
    assert (fees.max_fee_per_blob_gas > 0) == blobs
    if suggestion.affordable:
        assert fees.max_fee_per_gas >= history.next_base_fee
        assert not blobs or fees.max_fee_per_blob_gas >= history.next_blob_base_fee


@given(histories, histories, settings_, st.booleans())
def test_replacements_pay_what_every_pool_asks_or_are_none(
    before: FeeHistory, after: FeeHistory, settings: FeeSettings, blobs: bool
) -> None:
    old = suggest_fees(before, settings, blobs=blobs).fees
    new = replacement_fees(old, suggest_fees(after, settings, blobs=blobs).fees, settings, blobs=blobs)
    if new is None:
        return
    factor = 2000 if blobs else 1125
    pairs = [
        (old.max_fee_per_gas, new.max_fee_per_gas),
        (old.max_priority_fee_per_gas, new.max_priority_fee_per_gas),
    ]
    if blobs:
        pairs.append((old.max_fee_per_blob_gas, new.max_fee_per_blob_gas))
        assert new.max_fee_per_blob_gas <= settings.max_fee_per_blob_gas
    assert all(n > o and n * 1000 >= o * factor for o, n in pairs)
    assert new.max_priority_fee_per_gas <= new.max_fee_per_gas <= settings.max_fee_per_gas


def test_a_replacement_uses_the_cap_when_there_is_just_room() -> None:
    settings = FeeSettings(max_fee_per_gas=1125)
    assert replacement_fees(Fees(1000, 10), Fees(5000, 10), settings, blobs=False) == Fees(1125, 12)
    assert replacement_fees(Fees(1001, 10), Fees(5000, 10), settings, blobs=False) is None


@given(st.integers(21_000, MAX_TRANSACTION_GAS), st.integers(1000, 3000))
def test_gas_limits_have_a_margin_within_the_cap(estimate: int, margin: int) -> None:
    assert estimate <= gas_limit_for(estimate, margin) <= MAX_TRANSACTION_GAS


def test_an_estimate_beyond_the_cap_is_not_cut() -> None:
    assert gas_limit_for(MAX_TRANSACTION_GAS + 5, 1200) == MAX_TRANSACTION_GAS + 5
