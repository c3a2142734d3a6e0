"""Rules: weights from how assets moved, so that risk and not money is shared out. Pure.

float64 inside, because volatility is an estimate anyway; what comes out are decimals. Returns are
simple returns per period, shape (periods, assets), oldest first, columns in the order of the
assets named with them.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.rebalance.targets import Weights, require_assets, to_places
from alphapulse.errors import InvalidInput

FloatArray = NDArray[np.float64]

PERIODS_MIN = 2
SWEEPS_MAX = 1000
# Of the risk an asset carries, relative to an equal share: far below one unit of the 8th place.
PRECISION = 1e-10
# An eigenvalue of the correlations below this: two assets move as one to nine digits.
INDEPENDENT_MIN = 1e-9

_PCT_STEP, _SHARE_STEP = Decimal("1e-6"), Decimal("1e-8")


def inverse_volatility(
    assets: Sequence[Asset], returns: FloatArray, known: Collection[Asset]
) -> Weights:
    """Weights in proportion to 1 / volatility: each asset alone would move the whole as much.

    Raises:
        InvalidInput: what `risk_parity` refuses.
    """
    volatility = np.sqrt(np.diagonal(_covariance(assets, returns, known)))
    return _weights(assets, 1.0 / volatility)


def risk_parity(assets: Sequence[Asset], returns: FloatArray, known: Collection[Asset]) -> Weights:
    """Weights with which each asset contributes the same to the variance of the whole.

    Cyclical coordinate descent on x'Cx / 2 - sum(log x) / n, which is convex: each step solves one
    coordinate exactly, C[i,i] x[i]^2 + (sum over j of C[i,j] x[j]) x[i] = 1 / n.

    Source: Griveau-Billion, Richard, Roncalli, "A fast algorithm for computing high-dimensional
    risk parity portfolios", 2013, https://arxiv.org/abs/1311.4057.

    Raises:
        InvalidInput: an asset that is unknown or named twice, fewer than two periods, a return
            that is no number, an asset that never moved, assets whose returns follow from each
            other's, or no solution within the bound.
    """
    covariance = _covariance(assets, returns, known)
    _require_independent(covariance)
    share = 1.0 / len(assets)
    x = 1.0 / np.sqrt(np.diagonal(covariance))
    for _ in range(SWEEPS_MAX):
        for i, variance in enumerate(np.diagonal(covariance)):
            others = covariance[i] @ x - variance * x[i]
            x[i] = (np.sqrt(others * others + 4.0 * variance * share) - others) / (2.0 * variance)
        if np.max(np.abs(x * (covariance @ x) / share - 1.0)) < PRECISION:
            return _weights(assets, x)
    raise InvalidInput("these returns have no stable shares of risk", field="rule")


def volatilities_pct(assets: Sequence[Asset], returns: FloatArray) -> Mapping[Asset, Decimal]:
    """The standard deviation of each asset's returns, in per cent to six places."""
    found = np.std(returns, axis=0, ddof=1) * 100.0
    return dict(zip(assets, (_rounded(x, _PCT_STEP) for x in found.tolist()), strict=True))


def risk_shares(weights: Weights, returns: FloatArray) -> Mapping[Asset, Decimal]:
    """Each asset's share of the variance of the whole, to eight places; columns as in
    ``weights``."""
    w = np.array([float(weight) for weight in weights.values()])
    parts = w * (np.atleast_2d(np.cov(returns, rowvar=False)) @ w)
    shares = (parts / parts.sum()).tolist()
    return dict(zip(weights, (_rounded(x, _SHARE_STEP) for x in shares), strict=True))


def _rounded(ratio: float, step: Decimal) -> Decimal:
    return Decimal(ratio).quantize(step)


def _require_independent(covariance: FloatArray) -> None:
    deviations = np.sqrt(np.diagonal(covariance))
    correlations = covariance / np.outer(deviations, deviations)
    if np.linalg.eigvalsh(correlations)[0] < INDEPENDENT_MIN:
        raise InvalidInput(
            "what these assets risk cannot be told apart: some of them move as one, or so many"
            " assets need more bars",
            field="rule/assets",
        )


def _covariance(
    assets: Sequence[Asset], returns: FloatArray, known: Collection[Asset]
) -> FloatArray:
    require_assets(assets, known)
    if returns.ndim != 2 or returns.shape[1] != len(assets) or len(returns) < PERIODS_MIN:
        raise InvalidInput("too few returns are known", field="rule/assets", limit=PERIODS_MIN)
    for asset, column in zip(assets, returns.T, strict=True):
        if not np.all(np.isfinite(column)):
            raise InvalidInput(f"a return of {asset} is missing", field="rule/assets", value=asset)
        if np.ptp(column) == 0.0:
            raise InvalidInput(
                f"{asset} never moved, so it has no risk to weigh it by",
                field="rule/assets", value=asset,
            )  # fmt: skip
    covariance: FloatArray = np.atleast_2d(np.cov(returns, rowvar=False))
    return covariance


def _weights(assets: Sequence[Asset], shares: FloatArray) -> Weights:
    return to_places({asset: Decimal(x) for asset, x in zip(assets, shares.tolist(), strict=True)})
