"""Views of prices."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from alphapulse.api.schemas.base import Meta
from alphapulse.api.schemas.market import (
    Converted,
    Disagreement,
    PriceLine,
    PricePage,
    PricesQuery,
)
from alphapulse.domain import identifiers
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import EXACT
from alphapulse.domain.valuation import CONVERTED, parts
from alphapulse.errors import InvalidInput, NotReady
from alphapulse.services.market import MarketService, Quote, disagreements

_HUNDRED = Decimal(100)
_TWO = Decimal(2)


def prices_of(
    market: MarketService, query: PricesQuery, now: datetime, request_id: str
) -> PricePage:
    """The markets ``query`` asks for, by symbol and exchange.

    Raises:
        NotReady: nothing at all is known yet.
    """
    symbols = {identifiers.symbol(text, "symbols") for text in query.symbols}
    assets = {identifiers.asset(text) for text in query.assets}
    quotes = market.quotes(
        symbols=symbols,
        assets=assets,
        exchange=None if query.exchange == "any" else identifiers.exchange_id(query.exchange),
        currency=None if query.currency is None else identifiers.asset(query.currency.upper()),
    )
    if query.max_age_s is not None:
        quotes = tuple(q for q in quotes if _age_ms(q.ticker, now) <= query.max_age_s * 1000)
    return page_of(quotes, query, now, request_id)


def page_of(
    quotes: tuple[Quote, ...], query: PricesQuery, now: datetime, request_id: str
) -> PricePage:
    """One page of ``quotes``, and which of the asked markets are not among them."""
    if not quotes and not query.symbols and not query.assets:
        raise NotReady("no price is known yet")
    found = {quote.ticker.symbol for quote in quotes}
    page, next_cursor = _cut([price_line(quote, now) for quote in quotes], query)
    return PricePage(
        meta=Meta(
            request_id=request_id,
            as_of=now,
            currency=query.currency,
            complete=all(line.quality != "stale" for line in page),
        ),
        items=page,
        next_cursor=next_cursor,
        not_found=(
            *sorted(set(query.symbols) - found),
            *sorted(set(query.assets) - {parts(symbol)[0] for symbol in found}),
        ),
        sources_disagree=tuple(
            Disagreement(symbol=symbol, spread_pct=CONVERTED.multiply(spread, _HUNDRED))
            for symbol, spread in disagreements(quotes).items()
        ),
    )


def price_id(ticker: Ticker) -> str:
    return f"{ticker.exchange}:{ticker.symbol}"


def price_line(quote: Quote, now: datetime) -> PriceLine:
    """One market in words."""
    ticker, converted = quote.ticker, quote.converted
    as_of = min(ticker.occurred_at, ticker.received_at)
    return PriceLine(
        id=price_id(ticker),
        symbol=ticker.symbol,
        exchange=ticker.exchange,
        last=ticker.last,
        bid=ticker.bid,
        ask=ticker.ask,
        mid=_mid(ticker),
        spread_pct=_spread(ticker),
        mark=ticker.mark,
        index=ticker.index,
        open_24h=ticker.open_24h,
        high_24h=ticker.high_24h,
        low_24h=ticker.low_24h,
        change_24h_pct=_change(ticker),
        base_volume_24h=ticker.base_volume_24h,
        quote_volume_24h=ticker.quote_volume_24h,
        funding_rate=ticker.funding_rate,
        converted=None
        if converted is None
        else Converted(currency=converted.currency, value=converted.value, path=converted.source),
        as_of=as_of,
        received_at=ticker.received_at,
        age_ms=_age_ms(ticker, now),
        source=price_id(ticker),
        quality=quote.quality.value,
    )


def _age_ms(ticker: Ticker, now: datetime) -> int:
    as_of = min(ticker.occurred_at, ticker.received_at)
    return max(0, int((now - as_of).total_seconds() * 1000))


def _mid(ticker: Ticker) -> Decimal | None:
    if ticker.bid is None or ticker.ask is None:
        return None
    return EXACT.divide(EXACT.add(ticker.bid, ticker.ask), _TWO)


def _spread(ticker: Ticker) -> Decimal | None:
    mid = _mid(ticker)
    if mid is None or ticker.bid is None or ticker.ask is None or mid <= 0:
        return None
    spread = EXACT.subtract(ticker.ask, ticker.bid)
    return CONVERTED.multiply(CONVERTED.divide(spread, mid), _HUNDRED)


def _change(ticker: Ticker) -> Decimal | None:
    if ticker.last is None or ticker.open_24h is None or ticker.open_24h <= 0:
        return None
    change = EXACT.subtract(ticker.last, ticker.open_24h)
    return CONVERTED.multiply(CONVERTED.divide(change, ticker.open_24h), _HUNDRED)


def _cut(lines: Sequence[PriceLine], query: PricesQuery) -> tuple[list[PriceLine], str | None]:
    ordered = sorted(lines, key=lambda line: (line.symbol, line.exchange))
    if query.cursor is not None:
        after = _decode(query.cursor)
        ordered = [line for line in ordered if (line.symbol, line.exchange) > after]
    page = ordered[: query.limit]
    if len(page) == len(ordered):
        return page, None
    last = f"{page[-1].symbol} {page[-1].exchange}"
    return page, base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[str, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("not a cursor of ours", field="cursor") from error
    symbol, _, exchange = text.partition(" ")
    return symbol, exchange
