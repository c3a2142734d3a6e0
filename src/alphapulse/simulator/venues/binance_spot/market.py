"""Market routes: what anybody may ask Binance without a key."""

from collections.abc import Callable

from alphapulse.domain.order import Side
from alphapulse.simulator.core.candles import INTERVALS
from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.venues.binance import market_rows
from alphapulse.simulator.venues.binance.codes import BinanceError
from alphapulse.simulator.venues.binance.market_rows import Row
from alphapulse.simulator.venues.binance.markets import Markets
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.recording import Recording
from alphapulse.simulator.venues.binance.routes import Public, Window
from alphapulse.simulator.venues.binance_spot import rows
from alphapulse.simulator.venues.binance_spot.listing import exchange_info

AVERAGE_MINUTES = 5
DEPTH_MAX = 5_000


class MarketRoutes(Markets):
    """Answers from one venue's spot markets."""

    def __init__(self, venue: Venue, clock: AuthClock, recording: Recording) -> None:
        super().__init__(venue, Category.SPOT)
        self._clock = clock
        self._recording = recording

    @property
    def routes(self) -> dict[str, Public]:
        """By path; all are GET."""
        return {
            "/api/v3/ping": self._ping,
            "/api/v3/time": self._time,
            "/api/v3/exchangeInfo": self._exchange_info,
            "/api/v3/depth": self._depth,
            "/api/v3/trades": self._trades,
            "/api/v3/historicalTrades": self._trades,
            "/api/v3/aggTrades": self._aggregates,
            "/api/v3/klines": self._klines,
            "/api/v3/uiKlines": self._klines,
            "/api/v3/avgPrice": self._average_price,
            "/api/v3/ticker/24hr": self._day,
            "/api/v3/ticker/price": self._price,
            "/api/v3/ticker/bookTicker": self._best,
            "/sapi/v1/system/status": self._status,
        }

    def _ping(self, _: Params) -> Row:
        return {}

    def _time(self, _: Params) -> Row:
        return {"serverTime": self._clock.now_ms()}

    def _status(self, _: Params) -> Row:
        return {"status": 0, "msg": "normal"}

    def _exchange_info(self, params: Params) -> Row:
        return exchange_info(self._named(params)[0], self._clock.now_ms())

    def _depth(self, params: Params) -> object:
        market = self.market(params.symbol())
        limit = params.limit(100, DEPTH_MAX)
        recorded = self._recording.depth(market.instrument.name, limit)
        if recorded is not None:
            return recorded
        book, instrument = market.book, market.instrument
        return {
            "lastUpdateId": book.update_id,
            "bids": market_rows.levels(instrument, book.levels(Side.BUY, limit)),
            "asks": market_rows.levels(instrument, book.levels(Side.SELL, limit)),
        }

    def _trades(self, params: Params) -> list[Row]:
        market = self.market(params.symbol())
        window = Window.of(params)
        picked = window.pick(market.trades, lambda t: t.id, lambda t: t.at_ms)
        return [rows.trade(trade, market.instrument) for trade in picked]

    def _aggregates(self, params: Params) -> list[Row]:
        market = self.market(params.symbol())
        window = Window.of(params)
        picked = window.pick(market.aggregates, lambda t: t.id, lambda t: t.at_ms)
        return [rows.aggregate(trade, market.instrument) for trade in picked]

    def _klines(self, params: Params) -> list[list[object]]:
        market = self.market(params.symbol())
        interval = params.text("interval")
        if interval not in INTERVALS:
            raise BinanceError(-1120, "Invalid interval.")
        window = Window.of(params)
        candles = market.candles.page(
            interval,
            window.start_ms,
            window.end_ms,
            window.limit,
            is_from_start=window.start_ms is not None,
        )
        return [market_rows.candle(candle) for candle in candles]

    def _average_price(self, params: Params) -> Row:
        market = self.market(params.symbol())
        price = market.average_price(AVERAGE_MINUTES)
        return {
            "mins": AVERAGE_MINUTES,
            "price": market_rows.ZERO if price is None else market_rows.eight(price),
            "closeTime": market.trades[-1].at_ms if market.trades else self._venue.clock.now_ms(),
        }

    def _day(self, params: Params) -> object:
        kind = params.optional("type") or "FULL"
        if kind not in {"FULL", "MINI"}:
            raise BinanceError(-1139, "Invalid ticker type.")
        return self._per_symbol(params, market_rows.mini_day_of if kind == "MINI" else rows.day_of)

    def _price(self, params: Params) -> object:
        return self._per_symbol(params, market_rows.last_price)

    def _best(self, params: Params) -> object:
        return self._per_symbol(
            params, lambda market, _: {"symbol": market.instrument.name, **market_rows.best(market)}
        )

    def _per_symbol(self, params: Params, row: Callable[[Market, int], Row]) -> object:
        """One row for ``symbol``, a list for ``symbols`` or for neither."""
        markets, is_single = self._named(params)
        now_ms = self._venue.clock.now_ms()
        if is_single:
            return row(markets[0], now_ms)
        return [row(market, now_ms) for market in markets]

    def _named(self, params: Params) -> tuple[list[Market], bool]:
        """The markets a request is about, and whether it named one alone."""
        names = params.symbols()
        if names is None:
            return self.all_markets(), False
        return [self.market(name) for name in names], params.has("symbol")
