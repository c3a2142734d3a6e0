"""Targets: which share of a portfolio each asset is to have. Pure.

Weights are shares of one, kept to 8 places; all of them together are exactly 1.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.money import EXACT, ZERO, plain, total
from alphapulse.errors import InvalidInput

Weights = Mapping[Asset, Decimal]

ONE = Decimal(1)
PLACES = 8
_UNITS = 10**PLACES


def explicit_weights(
    targets: Sequence[tuple[Asset, Decimal]], rest_asset: Asset | None, known: Collection[Asset]
) -> Weights:
    """What a person asked for; what they leave of the whole goes to ``rest_asset``.

    Args:
        known: assets that are held or have a market.

    Raises:
        InvalidInput: no target, an unknown asset, one named twice, a weight that is negative or
            has more than 8 places, a sum over 1, or a rest for which there is no asset.
    """
    if not targets:
        raise InvalidInput("name at least one target", field="targets")
    weights: dict[Asset, Decimal] = {}
    for index, (asset, weight) in enumerate(targets):
        _require_good(asset, weight, f"targets/{index}", known)
        if asset in weights:
            raise InvalidInput(
                f"{asset} is named twice", field=f"targets/{index}/asset", value=asset
            )
        weights[asset] = weight
    rest = EXACT.subtract(ONE, total(list(weights.values())))
    if rest < 0:
        raise InvalidInput(
            "the weights are more than 1 together",
            field="targets", limit=ONE, value=EXACT.subtract(ONE, rest),
        )  # fmt: skip
    if rest == 0:
        return weights
    if rest_asset is None:
        raise InvalidInput(
            f"{plain(rest)} of the whole has no target; name a rest_asset", field="rest_asset"
        )
    _require_known(rest_asset, "rest_asset", known)
    return weights | {rest_asset: EXACT.add(weights.get(rest_asset, ZERO), rest)}


def equal_weights(assets: Collection[Asset], known: Collection[Asset]) -> Weights:
    """The same share for each.

    Raises:
        InvalidInput: no asset, an unknown one, or one named twice.
    """
    require_assets(assets, known)
    return to_places(dict.fromkeys(assets, ONE))


def capped(weights: Weights, cap: Decimal) -> Weights:
    """The weights with none above ``cap``; what is over is shared out among the others in
    proportion, as often as that lifts another one to the cap.

    Raises:
        InvalidInput: so many assets at the cap do not make a whole.
    """
    cap_units = int(EXACT.multiply(cap, Decimal(_UNITS)))
    if cap_units * len(weights) < _UNITS:
        raise InvalidInput(
            f"{len(weights)} assets of at most {plain(cap)} do not make a whole",
            field="rule/cap",
            value=cap,
        )
    ceiling = Decimal(cap_units).scaleb(-PLACES)
    at_cap: dict[Asset, Decimal] = {}
    below = {asset: weight for asset, weight in weights.items() if weight > 0}
    zeros = dict.fromkeys((asset for asset in weights if asset not in below), ZERO)
    for _ in weights:
        room = EXACT.subtract(ONE, total(list(at_cap.values())))
        shares = _scaled(below, room)
        over = [asset for asset, share in shares.items() if share > ceiling]
        if not over:
            return to_places(at_cap | shares | zeros, ceiling)
        at_cap |= dict.fromkeys(over, ceiling)
        below = {asset: weight for asset, weight in below.items() if asset not in at_cap}
    raise InvalidInput(
        "the assets with a weight do not make a whole below the cap", field="rule/cap"
    )


def to_places(shares: Weights, ceiling: Decimal = ONE) -> Weights:
    """The shares as weights of 8 places whose sum is exactly 1: rounded down, and the largest
    remainders get one unit more.

    Args:
        shares: not negative, in any unit.
        ceiling: which no weight may pass.
    """
    exact = _scaled(shares, Decimal(_UNITS))
    units = {asset: int(share) for asset, share in exact.items()}
    missing = _UNITS - sum(units.values())
    highest = int(EXACT.multiply(ceiling, Decimal(_UNITS)))
    by_remainder = sorted(exact, key=lambda asset: (units[asset] - exact[asset], asset))
    while missing:
        before = missing
        for asset in by_remainder:
            if missing and units[asset] < highest:
                units[asset] += 1
                missing -= 1
        assert missing < before, "a ceiling below an equal share"
    return {asset: Decimal(count).scaleb(-PLACES) for asset, count in units.items()}


def require_assets(assets: Collection[Asset], known: Collection[Asset]) -> None:
    """Whether a rule may be applied to these.

    Raises:
        InvalidInput: no asset, an unknown one, or one named twice.
    """
    if not assets:
        raise InvalidInput("name at least one asset", field="rule/assets")
    if len(set(assets)) < len(assets):
        raise InvalidInput("an asset is named twice", field="rule/assets")
    for asset in assets:
        _require_known(asset, "rule/assets", known)


def _require_good(asset: Asset, weight: Decimal, field: str, known: Collection[Asset]) -> None:
    _require_known(asset, f"{field}/asset", known)
    if weight < 0:
        raise InvalidInput("a weight cannot be negative", field=f"{field}/weight", value=weight)
    if weight > 1:
        raise InvalidInput(
            "a weight is a share of 1", field=f"{field}/weight", limit=ONE, value=weight
        )
    if weight != round(weight, PLACES):
        raise InvalidInput(
            f"a weight has at most {PLACES} places", field=f"{field}/weight", value=weight
        )


def _require_known(asset: Asset, field: str, known: Collection[Asset]) -> None:
    if asset not in known:
        raise InvalidInput(f"{asset} is neither held nor traded here", field=field, value=asset)


def _scaled(shares: Weights, whole: Decimal) -> dict[Asset, Decimal]:
    of_all = total(list(shares.values()))
    return {
        asset: EXACT.divide(EXACT.multiply(share, whole), of_all) for asset, share in shares.items()
    }
