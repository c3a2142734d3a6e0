"""Views of what a day did to what is held: null where nobody knows, and then named."""

from collections.abc import Iterable
from decimal import Decimal

from alphapulse.api.schemas.base import DayChangeView, Meta, WarningView
from alphapulse.api.schemas.portfolio import PositionView
from alphapulse.api.views.meta import warned
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import EXACT, total
from alphapulse.domain.portfolio import HoldingValue, PositionValue, Valuation
from alphapulse.domain.valuation import DayChange, PriceBook, Quality
from alphapulse.services.basis import percent_of


def of_holding(held: HoldingValue, book: PriceBook, valuation: Valuation) -> DayChangeView | None:
    """Of what is held now, at the prices of a day ago."""
    if held.price is None or held.value is None or held.price.quality is Quality.STALE:
        return None
    asset, near = held.holding.balance.asset, held.holding.exchange
    change = book.day_change(asset, valuation.currency, now=valuation.as_of, near=near)
    return _view(change, held.value)


def of_contract(
    opened: PositionValue, ticker: Ticker | None, book: PriceBook, valuation: Valuation
) -> DayChangeView | None:
    """By its own market, at what its settle currency is worth now."""
    price = opened.price
    if ticker is None or ticker.last is None or ticker.open_24h is None or price is None:
        return None
    as_of = min(ticker.occurred_at, ticker.received_at)
    if price.quality is Quality.STALE or book.is_stale(ticker.exchange, as_of, valuation.as_of):
        return None
    position = opened.position
    size = EXACT.multiply(position.signed_quantity, position.contract_size)
    exposure = EXACT.multiply(EXACT.multiply(size, ticker.last), price.value)
    return _view(DayChange(ticker.last, ticker.open_24h), exposure)


def of_group(members: list[PositionView]) -> DayChangeView | None:
    """Of one asset or contract in several places; null where it is not known of one of them."""
    known = [member.change_24h for member in members if member.change_24h is not None]
    values = [member.value for member in members if member.value is not None]
    if len(known) < len(members):
        return None
    gained, percents = total([one.abs for one in known]), {one.pct for one in known}
    if len(percents) == 1:
        return DayChangeView(abs=gained, pct=percents.pop())
    # The value of a contract is its profit, which is no part of what it was worth.
    is_contract = members[0].symbol is not None
    before = EXACT.subtract(total(values), gained)
    return DayChangeView(abs=gained, pct=None if is_contract else percent_of(gained, before))


def naming_unknown(meta: Meta, subjects: Iterable[str]) -> Meta:
    """The same, with these named as what nobody can compare with a day ago."""
    named = tuple(sorted(set(subjects)))
    if not named:
        return meta
    message = "What these were worth 24 hours ago is not known, or they have no price now."
    return warned(meta, WarningView(code="change_unknown", message=message, subject=named))


def _view(change: DayChange | None, value: Decimal) -> DayChangeView | None:
    if change is None:
        return None
    return DayChangeView(abs=change.gain_of(value), pct=change.percent)
