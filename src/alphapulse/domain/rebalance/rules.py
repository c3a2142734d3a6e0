"""Rules: weights from how assets moved, so that risk and not money is shared out. Pure.

float64 inside, because volatility is an estimate anyway; what comes out are decimals. Returns are
simple returns per period, shape (periods, assets), oldest first, columns in the order of the
assets named with them.
"""

from collections.abc import Collection, Sequence
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
            that is no number, an asset that never moved, or no solution within the bound.
    """
    covariance = _covariance(assets, returns, known)
    share = 1.0 / len(assets)
    x = 1.0 / np.sqrt(np.diagonal(covariance))
    for _ in range(SWEEPS_MAX):
        for i, variance in enumerate(np.diagonal(covariance)):
            others = covariance[i] @ x - variance * x[i]
            x[i] = (np.sqrt(others * others + 4.0 * variance * share) - others) / (2.0 * variance)
        if np.max(np.abs(x * (covariance @ x) / share - 1.0)) < PRECISION:
            return _weights(assets, x)
    raise InvalidInput("these returns have no stable shares of risk", field="rule")


def _covariance(
    assets: Sequence[Asset], returns: FloatArray, known: Collection[Asset]
) -> FloatArray:
    require_assets(assets, known)
    if returns.ndim != 2 or returns.shape[1] != len(assets) or len(returns) < PERIODS_MIN:
        raise InvalidInput("too few returns are known", field="assets", limit=PERIODS_MIN)
    for asset, column in zip(assets, returns.T, strict=True):
        if not np.all(np.isfinite(column)):
            raise InvalidInput(f"a return of {asset} is missing", field="assets", value=asset)
        if np.ptp(column) == 0.0:
            raise InvalidInput(f"{asset} never moved", field="assets", value=asset)
    covariance: FloatArray = np.atleast_2d(np.cov(returns, rowvar=False))
    return covariance


def _weights(assets: Sequence[Asset], shares: FloatArray) -> Weights:
    return to_places({asset: Decimal(x) for asset, x in zip(assets, shares.tolist(), strict=True)})
