"""Weights by risk, against small cases worked by hand."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.rebalance.rules import (
    FloatArray,
    inverse_volatility,
    risk_parity,
    risk_shares,
    volatilities_pct,
)
from alphapulse.errors import InvalidInput
from tests.unit.domain.rebalance.builders import BTC, ETH, SOL

KNOWN = {BTC, ETH, SOL}

# Two that never move together, with volatilities of 1 : 3.
APART = np.array([[0.01, 0.03], [0.01, -0.03], [-0.01, 0.03], [-0.01, -0.03]])


def returns_of(covariance: list[list[float]], seed: int = 7) -> FloatArray:
    """Returns whose sample covariance is exactly this."""
    wanted = np.array(covariance)
    drawn = np.random.default_rng(seed).standard_normal((200, len(wanted)))
    drawn -= drawn.mean(axis=0)
    white = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn, rowvar=False))).T
    made: FloatArray = white @ np.linalg.cholesky(wanted).T
    return made


def test_an_asset_that_moves_three_times_as_much_gets_a_third_of_the_weight() -> None:
    assert inverse_volatility([BTC, ETH], APART, KNOWN) == {
        BTC: Decimal("0.75"),
        ETH: Decimal("0.25"),
    }


def test_without_correlation_risk_parity_is_inverse_volatility() -> None:
    assert risk_parity([BTC, ETH], APART, KNOWN) == {BTC: Decimal("0.75"), ETH: Decimal("0.25")}


def test_of_two_assets_risk_parity_does_not_depend_on_their_correlation() -> None:
    # w1 s1 = w2 s2 whatever the correlation: volatilities of 10 % and 40 % share 0.8 to 0.2.
    returns = returns_of([[0.01, 0.02], [0.02, 0.16]])
    assert risk_parity([BTC, ETH], returns, KNOWN) == {BTC: Decimal("0.8"), ETH: Decimal("0.2")}


def test_two_twins_and_a_loner_share_risk_and_not_weight() -> None:
    # Unit variances; two are correlated by 0.5. By symmetry x, x, y with x (1.5 x) = y^2, so
    # y / x = sqrt(1.5) = 1.22474487; x = 1 / 3.22474487 = 0.31010205, y = 0.37979590.
    returns = returns_of([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]])
    weights = risk_parity([BTC, ETH, SOL], returns, KNOWN)
    assert weights[SOL] == Decimal("0.37979590")
    assert {weights[BTC], weights[ETH]} == {Decimal("0.31010205")}
    # Inverse volatility does not see the twins: it would give a third to each.
    assert inverse_volatility([BTC, ETH, SOL], returns, KNOWN)[SOL] < Decimal("0.3334")


def test_every_asset_of_many_contributes_the_same_risk() -> None:
    rng = np.random.default_rng(3)
    assets = [Asset(f"A{n}") for n in range(40)]
    returns = rng.standard_normal((300, 1)) * 0.02 + rng.standard_normal((300, 40)) * np.linspace(
        0.005, 0.08, 40
    )
    weights = risk_parity(assets, returns, set(assets))
    assert sum(weights.values()) == 1
    w = np.array([float(weights[asset]) for asset in assets])
    contributions = w * (np.cov(returns, rowvar=False) @ w)
    assert np.allclose(contributions / contributions.mean(), 1.0, rtol=1e-4)


@pytest.mark.parametrize("rule", [inverse_volatility, risk_parity])
@pytest.mark.parametrize(
    "returns",
    [
        APART[:1],
        APART[:, :1],
        np.array([[0.01, np.nan], [0.02, 0.01]]),
        np.array([[0.01, 0.0], [0.02, 0.0]]),
    ],
)
def test_returns_that_say_nothing_are_refused(rule: object, returns: FloatArray) -> None:
    with pytest.raises(InvalidInput) as refused:
        rule([BTC, ETH], returns, KNOWN)  # type: ignore[operator]
    assert refused.value.facts["field"] == "rule/assets"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 12))
def test_whatever_the_returns_each_asset_contributes_the_same_risk(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    assets = [Asset(f"A{n}") for n in range(count)]
    scale = rng.uniform(0.005, 0.08, count)
    market = rng.standard_normal((90, 1)) * rng.uniform(-1, 2, count) * scale
    returns = market + rng.standard_normal((90, count)) * scale
    weights = risk_parity(assets, returns, set(assets))
    assert sum(weights.values()) == 1
    shares = risk_shares(weights, returns)
    assert max(abs(share - Decimal(1) / count) for share in shares.values()) < Decimal("1e-6")


def test_two_that_move_as_one_share_risk_with_nobody() -> None:
    returns = np.column_stack([APART[:, 0], APART[:, 0] * 2.0])
    with pytest.raises(InvalidInput, match="told apart") as refused:
        risk_parity([BTC, ETH], returns, KNOWN)
    assert refused.value.facts["field"] == "rule/assets"
    # What each does alone is known all the same.
    assert sum(inverse_volatility([BTC, ETH], returns, KNOWN).values()) == 1


def test_more_assets_than_bars_cannot_be_told_apart() -> None:
    returns = np.random.default_rng(1).standard_normal((3, 3)) * 0.01
    with pytest.raises(InvalidInput, match="told apart"):
        risk_parity([BTC, ETH, SOL], returns, KNOWN)


def test_volatility_and_risk_are_shown_as_worked_by_hand() -> None:
    # Four returns of -1 % or 1 % deviate by sqrt(4 / 3) %; 3 % by three times that.
    assert volatilities_pct([BTC, ETH], APART) == {
        BTC: Decimal("1.154701"),
        ETH: Decimal("3.464102"),
    }
    # Half of each: 1 : 9 of the variance.
    halves = {BTC: Decimal("0.5"), ETH: Decimal("0.5")}
    assert risk_shares(halves, APART) == {BTC: Decimal("0.1"), ETH: Decimal("0.9")}
