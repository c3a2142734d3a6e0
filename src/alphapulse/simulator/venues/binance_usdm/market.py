"""Market routes: what anybody may ask of Binance's perpetuals without a key."""

from collections import deque
from collections.abc import Callable
from decimal import Decimal

from alphapulse.domain.order import Side
from alphapulse.simulator.core.candles import INTERVALS
from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.core.events import CoreEvent, FundingSettled
from alphapulse.simulator.core.exchange import FUNDING_INTERVAL_MS, Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.venues.binance import market_rows
from alphapulse.simulator.venues.binance.codes import BinanceError
from alphapulse.simulator.venues.binance.market_rows import Row, text
from alphapulse.simulator.venues.binance.markets import Markets
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.routes import Public, Window
from alphapulse.simulator.venues.binance_usdm.listing import exchange_info

DEPTH = 500
DEPTH_MAX = 1_000
CANDLES_MAX = 1_500
FUNDING_PAGE = 100

# Two months of rates every eight hours.
FUNDING_RATES_KEPT = 200

INTEREST_RATE = Decimal("0.0001")


def next_funding_ms(now_ms: int) -> int:
    return (now_ms // FUNDING_INTERVAL_MS + 1) * FUNDING_INTERVAL_MS


class MarketRoutes(Markets):
    """Answers from one venue's perpetuals."""

    def __init__(self, venue: Venue, clock: AuthClock) -> None:
        super().__init__(venue, Category.LINEAR)
        self._clock = clock
        self._rates: dict[str, deque[FundingSettled]] = {}
        venue.subscribe(self._remember)

    @property
    def routes(self) -> dict[str, Public]:
        """By path; all are GET."""
        return {
            "/fapi/v1/ping": self._ping,
            "/fapi/v1/time": self._time,
            "/fapi/v1/exchangeInfo": self._exchange_info,
            "/fapi/v1/depth": self._depth,
            "/fapi/v1/trades": self._trades,
            "/fapi/v1/historicalTrades": self._trades,
            "/fapi/v1/aggTrades": self._aggregates,
            "/fapi/v1/klines": self._klines,
            "/fapi/v1/ticker/24hr": self._day,
            "/fapi/v1/ticker/price": self._price,
            "/fapi/v2/ticker/price": self._price,
            "/fapi/v1/ticker/bookTicker": self._best,
            "/fapi/v1/premiumIndex": self._premium,
            "/fapi/v1/fundingRate": self._funding_rates,
            "/fapi/v1/fundingInfo": self._funding_info,
        }

    def named(self, params: Params) -> list[Market]:
        """The one that ``symbol`` names, or all."""
        return [self.market(params.symbol())] if params.has("symbol") else self.all_markets()

    def _remember(self, event: CoreEvent) -> None:
        if isinstance(event, FundingSettled):
            kept = self._rates.setdefault(event.instrument.name, deque(maxlen=FUNDING_RATES_KEPT))
            kept.append(event)

    def _ping(self, _: Params) -> Row:
        return {}

    def _time(self, _: Params) -> Row:
        return {"serverTime": self._clock.now_ms()}

    def _exchange_info(self, _: Params) -> Row:
        return exchange_info(self.all_markets(), self._clock.now_ms())

    def _depth(self, params: Params) -> Row:
        market = self.market(params.symbol())
        limit = params.limit(DEPTH, DEPTH_MAX)
        book, instrument = market.book, market.instrument
        now_ms = self._venue.clock.now_ms()
        return {
            "lastUpdateId": book.update_id,
            "E": now_ms,
            "T": now_ms,
            "bids": market_rows.levels(instrument, book.levels(Side.BUY, limit)),
            "asks": market_rows.levels(instrument, book.levels(Side.SELL, limit)),
        }

    def _trades(self, params: Params) -> list[Row]:
        market = self.market(params.symbol())
        picked = Window.of(params).pick(market.trades, lambda t: t.id, lambda t: t.at_ms)
        return [market_rows.trade(trade, market.instrument) for trade in picked]

    def _aggregates(self, params: Params) -> list[Row]:
        market = self.market(params.symbol())
        picked = Window.of(params).pick(market.aggregates, lambda t: t.id, lambda t: t.at_ms)
        return [market_rows.aggregate(trade, market.instrument) for trade in picked]

    def _klines(self, params: Params) -> list[list[object]]:
        market = self.market(params.symbol())
        interval = params.text("interval")
        if interval not in INTERVALS:
            raise BinanceError(-1120, "Invalid interval.")
        window, limit = Window.of(params), params.limit(500, CANDLES_MAX)
        candles = market.candles.page(
            interval,
            window.start_ms,
            window.end_ms,
            limit,
            is_from_start=window.start_ms is not None,
        )
        return [market_rows.candle(candle) for candle in candles]

    def _day(self, params: Params) -> object:
        return self._per_symbol(params, market_rows.day_of)

    def _price(self, params: Params) -> object:
        return self._per_symbol(
            params, lambda market, now: {**market_rows.last_price(market, now), "time": now}
        )

    def _best(self, params: Params) -> object:
        return self._per_symbol(
            params,
            lambda market, now_ms: {
                "symbol": market.instrument.name,
                **market_rows.best(market),
                "time": now_ms,
                "lastUpdateId": market.book.update_id,
            },
        )

    def _premium(self, params: Params) -> object:
        return self._per_symbol(params, _premium_row)

    def _funding_rates(self, params: Params) -> list[Row]:
        names = [market.instrument.name for market in self.named(params)]
        window, limit = Window.of(params), params.limit(FUNDING_PAGE, 1_000)
        known = (rate for name in names for rate in self._rates.get(name, ()))
        picked = window.pick(sorted(known, key=lambda r: r.at_ms), lambda _: 0, lambda r: r.at_ms)
        is_from_start = window.start_ms is not None
        return [
            {
                "symbol": rate.instrument.name,
                "fundingTime": rate.at_ms,
                "fundingRate": text(rate.rate),
                "markPrice": text(rate.mark_price),
            }
            for rate in (picked[:limit] if is_from_start else picked[-limit:])
        ]

    def _funding_info(self, _: Params) -> list[Row]:
        return [
            {
                "symbol": market.instrument.name,
                "adjustedFundingRateCap": "0.02000000",
                "adjustedFundingRateFloor": "-0.02000000",
                "fundingIntervalHours": FUNDING_INTERVAL_MS // 3_600_000,
                "disclaimer": False,
            }
            for market in self.all_markets()
        ]

    def _per_symbol(self, params: Params, row: Callable[[Market, int], Row]) -> object:
        """One row for ``symbol``, else a list."""
        rows = [row(market, self._venue.clock.now_ms()) for market in self.named(params)]
        return rows[0] if params.has("symbol") else rows


def _premium_row(market: Market, now_ms: int) -> Row:
    mark = text(market.mark_price)
    return {
        "symbol": market.instrument.name,
        "markPrice": mark,
        "indexPrice": mark,
        "estimatedSettlePrice": mark,
        "lastFundingRate": text(market.funding_rate),
        "interestRate": text(INTEREST_RATE),
        "nextFundingTime": next_funding_ms(now_ms),
        "time": now_ms,
    }
