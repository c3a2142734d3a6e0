"""Weights: what is refused, and that they are exactly 1 together."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.rebalance.targets import (
    capped,
    equal_weights,
    explicit_weights,
    to_places,
)
from alphapulse.errors import InvalidInput
from tests.unit.domain.rebalance.builders import BTC, ETH, SOL, USDT

KNOWN = {BTC, ETH, SOL, USDT}


def explicit(*targets: tuple[str, str], rest: Asset | None = None) -> dict[Asset, Decimal]:
    pairs = [(Asset(asset), Decimal(weight)) for asset, weight in targets]
    return dict(explicit_weights(pairs, rest, KNOWN))


def test_the_rest_goes_to_the_rest_asset_also_where_it_has_a_weight_of_its_own() -> None:
    assert explicit(("BTC", "0.6"), ("USDT", "0.1"), rest=USDT) == {
        BTC: Decimal("0.6"),
        USDT: Decimal("0.4"),
    }


@pytest.mark.parametrize(
    ("targets", "rest", "field"),
    [
        ([], USDT, "targets"),
        ([("BTC", "0.6"), ("ETH", "0.5")], None, "targets"),
        ([("BTC", "1.1")], None, "targets/0/weight"),
        ([("BTC", "1.1"), ("ETH", "-0.1")], None, "targets/0/weight"),
        ([("ETH", "0.1"), ("BTC", "-0.1")], USDT, "targets/1/weight"),
        ([("BTC", "0.123456789")], USDT, "targets/0/weight"),
        ([("XYZ", "1")], None, "targets/0/asset"),
        ([("BTC", "0.5"), ("BTC", "0.5")], None, "targets/1/asset"),
        ([("BTC", "0.5")], None, "rest_asset"),
        ([("BTC", "0.5")], Asset("XYZ"), "rest_asset"),
    ],
)
def test_bad_targets_are_refused_with_their_field(
    targets: list[tuple[str, str]], rest: Asset | None, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        explicit(*targets, rest=rest)
    assert refused.value.facts["field"] == field


def test_three_equal_weights_are_one_together() -> None:
    assert equal_weights([SOL, BTC, ETH], KNOWN) == {
        BTC: Decimal("0.33333334"),
        ETH: Decimal("0.33333333"),
        SOL: Decimal("0.33333333"),
    }


@pytest.mark.parametrize("assets", [[], [BTC, BTC], [BTC, Asset("XYZ")]])
def test_a_rule_needs_assets_that_are_known_and_named_once(assets: list[Asset]) -> None:
    with pytest.raises(InvalidInput) as refused:
        equal_weights(assets, KNOWN)
    assert refused.value.facts["field"] == "rule/assets"


def test_what_is_over_a_cap_goes_to_the_others_in_proportion_until_none_is_over() -> None:
    # By hand: 60/30/6/4 at 40: 20 over; 30/6/4 share 60 as 45/9/6; 45 is over too; 6/4 share 20.
    weights = dict(zip([BTC, ETH, SOL, USDT], map(Decimal, (60, 30, 6, 4)), strict=True))
    assert capped(weights, Decimal("0.4")) == {
        BTC: Decimal("0.4"),
        ETH: Decimal("0.4"),
        SOL: Decimal("0.12"),
        USDT: Decimal("0.08"),
    }


def test_a_cap_that_leaves_no_whole_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        capped({BTC: Decimal(1), ETH: Decimal(1)}, Decimal("0.4"))
    assert refused.value.facts["field"] == "rule/cap"


shares = st.dictionaries(
    st.integers(0, 99).map(lambda n: Asset(f"A{n}")),
    st.decimals("0.001", "1000", places=3),
    min_size=1,
    max_size=40,
)


@given(shares)
def test_weights_have_eight_places_and_are_exactly_one(of: dict[Asset, Decimal]) -> None:
    weights = to_places(of)
    assert sum(weights.values()) == 1
    whole = sum(of.values())
    for asset, weight in weights.items():
        assert weight == round(weight, 8)
        assert abs(weight - of[asset] / whole) < Decimal("1e-8")


@given(shares, st.decimals("0.001", "1", places=3))
def test_no_capped_weight_is_over_the_cap_and_larger_shares_stay_larger(
    of: dict[Asset, Decimal], cap: Decimal
) -> None:
    if cap * len(of) < 1:
        return
    weights = capped(of, cap)
    assert sum(weights.values()) == 1
    assert max(weights.values()) <= cap
    by_share = sorted(of, key=lambda asset: of[asset])
    for small, large in pairwise(by_share):
        assert weights[small] <= weights[large] + Decimal("1e-8")
