"""Prices: whether there is a good one, and how far from it the order is."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_UP, Decimal

from alphapulse.domain.market import Ticker
from alphapulse.domain.money import EXACT, add, multiply, plain
from alphapulse.domain.order import OrderRequest, Trigger
from alphapulse.domain.order_checks.check import Check, in_words, plainly
from alphapulse.domain.order_checks.situation import OrderSituation
from alphapulse.errors import InvalidInput, PriceNotGood, PriceOutOfBand

_HUNDRED = Decimal(100)
_TWO = Decimal(2)
_SHOWN = Decimal("0.0001")


def with_trigger(request: OrderRequest, ticker: Ticker | None) -> OrderRequest:
    """The request with the side of the price on which its stop waits.

    Raises:
        PriceNotGood: there is no price to compare with.
        InvalidInput: the price is there already, so it would not wait at all.
    """
    if request.stop_price is None:
        return request
    price = None if ticker is None else ticker.price
    if price is None:
        raise PriceNotGood("there is no price to say on which side the stop waits")
    if request.stop_price == price:
        raise InvalidInput("the price is at the stop already", field="stop_price", limit=price)
    rises = request.stop_price > price
    return replace(request, trigger=Trigger.RISES if rises else Trigger.FALLS)


def check_price(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    """There is one, young enough, between a bid and an ask that are near, and near to the order."""
    limits = [allowance.limits for allowance in situation.allowances]
    ticker = situation.ticker
    price = None if ticker is None else ticker.price
    if ticker is None or price is None or price <= 0:
        none = PriceNotGood(f"there is no price of {request.symbol}", check="price_age")
        return [Check("price_age", failure=none)]
    return [
        _price_age(situation, ticker, _least(one.max_price_age_s for one in limits)),
        _spread(ticker, _least(one.max_spread_pct for one in limits)),
        *_bands(request, price, _least(one.price_band_pct for one in limits)),
    ]


def _price_age(situation: OrderSituation, ticker: Ticker, limit: Decimal | None) -> Check:
    age_ms = max(0, (situation.now - ticker.received_at) // timedelta(milliseconds=1))
    age_s = Decimal(age_ms).scaleb(-3)
    failure = None
    if limit is not None and age_s > limit:
        failure = PriceNotGood(
            f"the last price is {plain(age_s)} s old; {plain(limit)} s are allowed",
            check="price_age", limit=limit, value=age_s,
        )  # fmt: skip
    return Check("price_age", plainly(limit), plain(age_s), failure)


def _spread(ticker: Ticker, limit: Decimal | None) -> Check:
    failure = spread = None
    if ticker.bid is not None and ticker.ask is not None and ticker.bid > 0:
        middle = EXACT.divide(add(ticker.bid, ticker.ask), _TWO)
        spread = _percent(EXACT.subtract(ticker.ask, ticker.bid), middle)
    if limit is not None and (spread is None or spread > limit):
        found = "not known" if spread is None else f"{plain(spread)} %"
        failure = PriceNotGood(
            f"the spread of bid and ask is {found}; {plain(limit)} % are allowed",
            check="spread", limit=limit, value=spread,
        )  # fmt: skip
    return Check("spread", plainly(limit), plainly(spread), failure)


def _bands(request: OrderRequest, price: Decimal, limit: Decimal | None) -> list[Check]:
    checks = []
    for field in ("limit_price", "stop_price"):
        asked: Decimal | None = getattr(request, field)
        if asked is None:
            continue
        off = _percent(abs(EXACT.subtract(asked, price)), price)
        failure = None
        if limit is not None and off > limit:
            failure = PriceOutOfBand(
                f"the {in_words(field)} is {plain(off)} % off the last price of {plain(price)};"
                f" {plain(limit)} % are allowed",
                field=field, check="price_band", limit=limit, value=off,
            )  # fmt: skip
        checks.append(Check("price_band", plainly(limit), plain(off), failure))
    return checks


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    exactly = multiply(EXACT.divide(part, whole), _HUNDRED)
    return exactly.quantize(_SHOWN, rounding=ROUND_UP, context=EXACT)


def _least(limits: Iterable[Decimal | None]) -> Decimal | None:
    return min((limit for limit in limits if limit is not None), default=None)
