"""Views of manual prices."""

from datetime import datetime

from alphapulse.api.schemas.base import Meta, PriceView
from alphapulse.api.schemas.prices import ManualPriceItem, ManualPricePage, ManualPriceView
from alphapulse.domain.identifiers import UserId
from alphapulse.domain.manual_prices import ManualPrice
from alphapulse.domain.valuation import PriceBook
from alphapulse.services.manual_prices import SaidPrices
from alphapulse.services.viewer import Viewer


def page_of(said: SaidPrices, book: PriceBook, viewer: Viewer, meta: Meta) -> ManualPricePage:
    """Each with what values its asset now."""
    now = meta.as_of
    items = []
    for one in said.prices:
        price = book.price(one.asset, viewer.currency, now=now)
        items.append(
            ManualPriceItem(
                **dict(view_of(one, said.names, now)),
                price=None if price is None else PriceView.of(price, now),
            )
        )
    return ManualPricePage(meta=meta, items=items)


def view_of(price: ManualPrice, names: dict[UserId, str], now: datetime) -> ManualPriceView:
    """What was said, and by whom."""
    return ManualPriceView(
        asset=price.asset,
        value=price.value,
        currency=price.currency,
        as_of=price.as_of,
        age_ms=price.age_ms(now),
        said_by=names.get(price.said_by, price.said_by),
        said_at=price.said_at,
    )
