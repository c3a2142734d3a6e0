"""Public market data of Bybit over REST."""

from collections import deque
from decimal import Decimal

from alphapulse.domain.money import plain
from alphapulse.domain.order import Side
from alphapulse.simulator.core.candles import FIXED_MS, Candle
from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.core.events import CoreEvent, FundingSettled
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category, MarketStatus
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.core.usd_index import usd_minutes
from alphapulse.simulator.venues.bybit import codes
from alphapulse.simulator.venues.bybit.call import Public
from alphapulse.simulator.venues.bybit.codes import BybitError
from alphapulse.simulator.venues.bybit.ids import event_id
from alphapulse.simulator.venues.bybit.listing import instrument_row
from alphapulse.simulator.venues.bybit.params import Params
from alphapulse.simulator.venues.bybit.rows import SIDES, Row
from alphapulse.simulator.venues.bybit.tickers import ticker_row

MINUTE_MS = FIXED_MS["1m"]
INTERVALS = {
    **{str(FIXED_MS[name] // MINUTE_MS): name for name in FIXED_MS if name[-1] in "mh"},
    "D": "1d",
    "W": "1w",
    "M": "1M",
}
"""Bybit's intervals, in minutes or by letter, as the core spells them."""

CANDLES_MAX = 1_000

INDEXES = {"BTCUSD": "BTC", "ETHUSD": "ETH"}
"""Inverse contracts whose index is told: nobody can trade them here."""

# Two months of rates every eight hours.
FUNDING_RATES_KEPT = 200


class MarketRoutes:
    """What anybody may ask. ``inverse`` and ``option`` exist and are empty."""

    def __init__(self, venue: Venue, auth_clock: AuthClock) -> None:
        self._venue = venue
        self._auth_clock = auth_clock
        self._funding_rates: dict[str, deque[tuple[int, Decimal]]] = {}
        venue.subscribe(self._remember)
        self.routes: dict[str, Public] = {
            "/v5/market/time": self._time,
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/tickers": self._tickers,
            "/v5/market/orderbook": self._orderbook,
            "/v5/market/recent-trade": self._trades,
            "/v5/market/kline": self._candles,
            "/v5/market/index-price-kline": self._index,
            "/v5/market/funding/history": self._funding,
        }

    def _remember(self, event: CoreEvent) -> None:
        if isinstance(event, FundingSettled):
            rates = self._funding_rates.setdefault(
                event.instrument.name, deque(maxlen=FUNDING_RATES_KEPT)
            )
            rates.append((event.at_ms, event.rate))

    def _time(self, params: Params) -> Row:
        now_ms = self._auth_clock.now_ms()
        return {"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)}

    def _listed(self, params: Params) -> list[Market]:
        """The markets a request is about: one symbol, or a whole category."""
        category = params.category()
        if category is None:
            return []
        if params.optional("symbol") is not None:
            return [self.market(category, params.text("symbol"))]
        return self.listed(category)

    def listed(self, category: Category) -> list[Market]:
        """Every market of a category but those that are gone."""
        return [
            market
            for (of_category, _), market in self._venue.markets.items()
            if of_category is category and market.status is not MarketStatus.DELISTED
        ]

    def market(self, category: Category | None, name: str) -> Market:
        """A listed market.

        Raises:
            BybitError: 10001.
        """
        try:
            if category is not None:
                return self._venue.market(category, name)
        except Refused:
            pass
        raise BybitError(codes.PARAMS, "Not supported symbols")

    def _one(self, params: Params) -> Market:
        return self.market(params.category(), params.text("symbol"))

    def _instruments(self, params: Params) -> Row:
        status = params.optional("status")
        rows = [instrument_row(market) for market in self._listed(params)]
        return {
            "category": params.text("category"),
            "list": [row for row in rows if status is None or row["status"] == status],
            "nextPageCursor": "",
        }

    def _tickers(self, params: Params) -> Row:
        now_ms = self._venue.clock.now_ms()
        rows = [
            ticker_row(market, self._venue.usd_price(market.instrument.base), now_ms)
            for market in self._listed(params)
        ]
        return {"category": params.text("category"), "list": rows}

    def _orderbook(self, params: Params) -> Row:
        market = self._one(params)
        now_ms = self._venue.clock.now_ms()
        limit = params.limit(1 if params.category() is Category.SPOT else 25, 200)
        return {
            "s": market.instrument.name,
            "b": levels(market, Side.BUY, limit),
            "a": levels(market, Side.SELL, limit),
            "ts": now_ms,
            "u": market.book.update_id,
            "seq": market.book.update_id,
            "cts": now_ms,
        }

    def _trades(self, params: Params) -> Row:
        market = self._one(params)
        maximum = 60 if market.instrument.category is Category.SPOT else 1000
        newest = list(market.trades)[-params.limit(maximum, maximum) :]
        return {
            "category": params.text("category"),
            "list": [
                {
                    "execId": event_id(*market.instrument.key, trade.id),
                    "symbol": market.instrument.name,
                    "price": plain(market.instrument.price(trade.ticks)),
                    "size": plain(market.instrument.quantity(trade.lots)),
                    "side": SIDES[trade.taker_side],
                    "time": str(trade.at_ms),
                    "isBlockTrade": False,
                    "isRPITrade": False,
                    "seq": str(trade.id),
                }
                for trade in reversed(newest)
            ],
        }

    def _candles(self, params: Params) -> Row:
        market = self._one(params)
        interval = params.choice("interval", INTERVALS)
        start_ms, end_ms = params.integer("start"), params.integer("end")
        limit = params.limit(200, CANDLES_MAX)
        newest = market.candles.page(interval, start_ms, end_ms, limit, is_from_start=False)
        return {
            "category": params.text("category"),
            "symbol": market.instrument.name,
            "list": [_candle(candle) for candle in reversed(newest)],
        }

    def _index(self, params: Params) -> Row:
        """US dollars for a coin; of minutes, and of the two contracts that have a long past."""
        name = params.text("symbol")
        if params.text("category") != "inverse" or name not in INDEXES:
            raise BybitError(codes.PARAMS, "Not supported symbols")
        params.choice("interval", {"1": "1m"})
        start_ms, end_ms = params.integer("start"), params.integer("end")
        limit = params.limit(200, CANDLES_MAX)
        asset = INDEXES[name]
        newest = usd_minutes(self._venue, asset, start_ms, end_ms, limit, is_from_start=False)
        return {
            "symbol": name,
            "category": "inverse",
            "list": [_candle(candle)[:5] for candle in reversed(newest)],
        }

    def _funding(self, params: Params) -> Row:
        market = self._one(params)
        low = params.integer("startTime") or 0
        high = params.integer("endTime") or self._venue.clock.now_ms()
        name = market.instrument.name
        rates = [
            (at_ms, plain(rate))
            for at_ms, rate in self._funding_rates.get(name, ())
            if low <= at_ms <= high
        ]
        newest = sorted(rates, reverse=True)[: params.limit(200, 200)]
        return {
            "category": params.text("category"),
            "list": [
                {"symbol": name, "fundingRate": rate, "fundingRateTimestamp": str(at_ms)}
                for at_ms, rate in newest
            ],
        }


def levels(market: Market, side: Side, limit: int) -> list[list[str]]:
    """Price and size of the best levels, best first."""
    instrument = market.instrument
    return [
        [plain(instrument.price(ticks)), plain(instrument.quantity(lots))]
        for ticks, lots in market.book.levels(side, limit)
    ]


def _candle(candle: Candle) -> list[str]:
    return [
        str(candle.open_ms),
        plain(candle.open),
        plain(candle.high),
        plain(candle.low),
        plain(candle.close),
        plain(candle.volume),
        plain(candle.quote_volume),
    ]
