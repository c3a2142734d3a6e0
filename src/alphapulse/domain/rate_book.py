"""Rate book: what is stored about prices, read as the rates of one book currency.

In this order: what a person said of that day, in whatever currency; the live price that was noted
when the movement was recorded; the close of the one minute candle that the moment lies in, as it
was fetched or as it is stored; the same over one more coin; and the nearest note within a day. Else
nobody knows.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter

from msgspec.structs import replace

from alphapulse.domain.identifiers import Asset, Symbol
from alphapulse.domain.market import Candle, Timeframe
from alphapulse.domain.money import EXACT
from alphapulse.domain.rates import Rate, RateQuality
from alphapulse.domain.valuation import CONVERTED, parts

LIVE_WITHIN = timedelta(minutes=1)
"""A live price counts as that of a moment so near."""
NEAREST_WITHIN = timedelta(days=1)
"""Beyond that, a price says nothing of a moment."""
BRIDGES = tuple(map(Asset, ("USDT", "USDC", "BTC", "ETH", "USD", "EUR")))
"""Coins with deep markets, over which others are converted."""


def minute_of(at: datetime) -> datetime:
    """When the one minute candle of a moment opens."""
    return at.replace(second=0, microsecond=0)


def end_of(at: datetime) -> datetime:
    """When that candle closes."""
    return minute_of(at) + Timeframe.M1.duration


def markets_for(assets: Iterable[Asset], currency: Asset) -> frozenset[Symbol]:
    """The markets whose candles could tell the rates of ``assets``."""
    found = set()
    for asset in (*assets, *BRIDGES):
        for quote in (currency, *BRIDGES):
            if asset != quote:
                found |= {Symbol(f"{asset}/{quote}"), Symbol(f"{quote}/{asset}")}
    return frozenset(found)


class RateBook:
    """The `Rates` of one currency; the same question always has the same answer.

    Args:
        currency: of every rate it gives.
        notes: stored rates; those in another currency are passed over, but for a person's.
        candles: closed one minute candles of spot markets.
    """

    def __init__(self, currency: Asset, notes: Iterable[Rate], candles: Iterable[Candle]) -> None:
        self._currency = currency
        self._notes: dict[Asset, list[Rate]] = {}
        self._said: dict[Asset, list[Rate]] = {}
        for note in sorted(notes, key=attrgetter("as_of", "source")):
            if note.quality is RateQuality.MANUAL:
                self._said.setdefault(note.asset, []).append(note)
            elif note.currency == currency:
                self._notes.setdefault(note.asset, []).append(note)
        self._closes: dict[tuple[Asset, Asset, datetime], tuple[Decimal, str]] = {}
        # Where two exchanges traded it, the first by name decides, whatever order they came in.
        for candle in sorted(candles, key=attrgetter("exchange"), reverse=True):
            self._add_close(candle)

    def rate(self, asset: Asset, at: datetime) -> Rate | None:
        """One ``asset`` in the book currency at ``at``."""
        said = self.said(asset, at)
        told = None if said is None else self._converted(said, at)
        return told or self._by_markets(asset, at)

    def said(self, asset: Asset, at: datetime) -> Rate | None:
        """What a person said of that day, as they said it."""
        said = [note for note in self._said.get(asset, ()) if _same_day(note.as_of, at)]
        return _closest(said, at) if said else None

    def lacking(self, asset: Asset, at: datetime) -> Asset:
        """Whose price of that minute would make a rate of it that is not firm: of what a person
        said in another currency, that currency's."""
        said = self.said(asset, at)
        return asset if said is None else said.currency

    def _converted(self, said: Rate, at: datetime) -> Rate | None:
        """In the book currency, by what that currency was worth at the moment itself."""
        if said.currency == self._currency:
            return said
        second = self._by_markets(said.currency, at)
        if second is None:
            return None
        return Rate(
            said.asset,
            CONVERTED.plus(EXACT.multiply(said.value, second.value)),
            self._currency,
            min(said.as_of, second.as_of),
            f"{said.source} > {second.source}",
            said.quality if second.quality.is_firm else second.quality,
        )

    def _by_markets(self, asset: Asset, at: datetime) -> Rate | None:
        notes = self._around(asset, at)
        live = [n for n in notes if n.quality is RateQuality.LIVE and _is_live(n.as_of, at)]
        closes = [n for n in notes if n.quality is RateQuality.CLOSE and n.as_of == end_of(at)]
        if told := live or closes:
            return _closest(told, at)
        return (
            self._close(asset, self._currency, at) or self._over(asset, at) or _nearest(notes, at)
        )

    def _add_close(self, candle: Candle) -> None:
        base, quote = parts(candle.symbol)
        if candle.timeframe is not Timeframe.M1 or not candle.is_closed or candle.close <= 0:
            return
        source = f"{candle.exchange}:{candle.symbol} 1m"
        self._closes[base, quote, candle.open_time] = (candle.close, source)
        inverse = CONVERTED.divide(Decimal(1), candle.close)
        self._closes.setdefault((quote, base, candle.open_time), (inverse, f"1/{source}"))

    def _close(self, asset: Asset, quote: Asset, at: datetime) -> Rate | None:
        found = self._closes.get((asset, quote, minute_of(at)))
        if found is None:
            return None
        return Rate(asset, found[0], quote, end_of(at), found[1], RateQuality.CLOSE)

    def _over(self, asset: Asset, at: datetime) -> Rate | None:
        """Over one more coin whose own rate is known."""
        for bridge in BRIDGES:
            first = None if bridge == self._currency else self._close(asset, bridge, at)
            second = None if first is None else self._of_bridge(bridge, at)
            if first is not None and second is not None:
                is_close = second.quality is RateQuality.CLOSE
                return Rate(
                    asset,
                    CONVERTED.plus(EXACT.multiply(first.value, second.value)),
                    self._currency,
                    min(first.as_of, second.as_of),
                    f"{first.source} > {second.source}",
                    RateQuality.CLOSE if is_close else RateQuality.ESTIMATED,
                )
        return None

    def _of_bridge(self, bridge: Asset, at: datetime) -> Rate | None:
        notes = self._around(bridge, at)
        return self._close(bridge, self._currency, at) or _nearest(notes, at)

    def _around(self, asset: Asset, at: datetime) -> Sequence[Rate]:
        notes = self._notes.get(asset, [])
        start = bisect_left(notes, at - NEAREST_WITHIN, key=attrgetter("as_of"))
        end = bisect_left(notes, at + NEAREST_WITHIN, key=attrgetter("as_of"))
        return notes[start:end]


def _same_day(one: datetime, other: datetime) -> bool:
    return one.date() == other.date()


def _is_live(noted_at: datetime, at: datetime) -> bool:
    return abs(noted_at - at) <= LIVE_WITHIN


def _closest(notes: Iterable[Rate], at: datetime) -> Rate:
    return min(notes, key=lambda note: (abs(note.as_of - at), note.source))


def _nearest(notes: Sequence[Rate], at: datetime) -> Rate | None:
    if not notes:
        return None
    note = _closest(notes, at)
    is_derived = note.quality in {RateQuality.ESTIMATED, RateQuality.STALE}
    return note if is_derived else replace(note, quality=RateQuality.NEAREST)
