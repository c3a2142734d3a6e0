"""What every adapter does alike: instruments, clock, tickers, candles and open orders over CCXT.

An adapter adds what differs from venue to venue: permissions, wallets, positions, how fills are
paged, and the streams.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from alphapulse.domain.cash_flow import FlowCursor
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, Symbol
from alphapulse.domain.instrument import Instrument
from alphapulse.domain.market import Candle, Ticker, Timeframe
from alphapulse.domain.order import Fill, Order
from alphapulse.domain.position import Position
from alphapulse.errors import InstrumentUnavailable, InvalidInput
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.session import ExchangeSession, ms_of
from alphapulse.exchanges.port import Capabilities, FlowPage, MinuteClose

T = TypeVar("T")


class CcxtExchange:
    """The shared half of an adapter; not an `Exchange` by itself.

    Args:
        account_id: ``None`` for the public side, which serves market data only.
        market_types: the kinds of market this venue is asked about, spot first where it has both.
    """

    def __init__(
        self,
        exchange: ExchangeId,
        account_id: AccountId | None,
        session: ExchangeSession,
        capabilities: Capabilities,
        market_types: Sequence[MarketType],
    ) -> None:
        self._id = exchange
        self._account_id = account_id
        self._session = session
        self._capabilities = capabilities
        self._market_types = tuple(market_types)

    @property
    def id(self) -> ExchangeId:
        return self._id

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def clock_offset_ms(self) -> int | None:
        return self._session.clock_offset_ms

    @property
    def budget_used(self) -> Decimal:
        return self._session.budget_used

    @property
    def account_id(self) -> AccountId:
        """Raises `InvalidInput` on the public side: it holds nothing."""
        if self._account_id is None:
            raise InvalidInput("this needs an account", exchange=self._id)
        return self._account_id

    async def load_instruments(self) -> tuple[Instrument, ...]:
        for market_type in self._market_types:
            await self._session.reload_markets(market_type)
        found = tuple((await self.instruments()).values())
        if not found:
            raise parse.broken("no instruments", exchange=self._id)
        return found

    async def instruments(self) -> dict[Symbol, Instrument]:
        """Every instrument by its symbol, as last loaded."""
        found: dict[Symbol, Instrument] = {}
        for market_type in self._market_types:
            client = await self._session.loaded(market_type)
            listed = parse.instruments(client.markets.values(), self._id, client.precisionMode)
            found |= {one.symbol: one for one in listed}
        return found

    async def measure_clock(self) -> int:
        return await self._session.measure_clock(self._market_types[0])

    async def fetch_open_orders(self) -> tuple[Order, ...]:
        orders: list[Order] = []
        for market_type in await self._held():
            orders += await self._understood(market_type, self._open_orders)
        return parse.unique_orders(one for one in orders if one.status.is_open)

    async def _held(self) -> tuple[MarketType, ...]:
        """The kinds of market in which this account may hold anything."""
        return self._market_types

    async def _open_orders(self, client: Any, market_type: MarketType) -> list[Order]:
        """Every open order of one market type, in one or more requests."""
        return self.orders_of(await client.fetch_open_orders())

    async def fetch_tickers(self, symbols: Sequence[Symbol]) -> tuple[Ticker, ...]:
        found: list[Ticker] = []
        for market_type, names in self._by_market_type(symbols).items():
            found += await self._tickers(market_type, names)
        return self._some(found, symbols)

    async def _tickers(self, market_type: MarketType, names: Sequence[Symbol]) -> list[Ticker]:
        """Of one kind of market; a symbol that is not listed is an error."""

        async def ask(client: Any) -> Any:
            for name in names:
                require_listed(client, name)
            if client.has.get("fetchTickers"):
                return (await client.fetch_tickers(names)).values()
            return [await client.fetch_ticker(name) for name in names]

        raw = await self._session.call(market_type, ask)
        received_at = self._session.now()
        return [parse.ticker(one, self._id, received_at) for one in raw]

    async def fetch_candles(
        self, symbol: Symbol, timeframe: Timeframe, since: datetime, limit: int
    ) -> tuple[Candle, ...]:
        asked_at = self._session.venue_now()
        rows = await self._session.call(
            self.market_type_of(symbol),
            lambda client: client.fetch_ohlcv(
                symbol, timeframe.value, ms_of(since), limit, self._until(timeframe, since, limit)
            ),
            list_is_good=True,
        )
        candles = [parse.candle(row, self._id, symbol, timeframe, asked_at) for row in rows]
        return tuple(sorted(candles, key=lambda one: one.open_time))

    def _until(self, timeframe: Timeframe, since: datetime, limit: int) -> Mapping[str, int]:
        """What else to send for candles that end so many intervals after ``since``; nothing where
        the venue counts them from there."""
        return {}

    async def fetch_usd_index(
        self, asset: Asset, since: datetime, limit: int
    ) -> tuple[MinuteClose, ...]:
        raise InvalidInput(
            "no past in US dollars is published here", exchange=self._id, asset=asset
        )

    def first_flow_cursors(self, since: datetime) -> tuple[FlowCursor, ...]:
        """None, where an adapter does not say otherwise."""
        return ()

    async def fetch_cash_flows(self, cursor: FlowCursor) -> FlowPage:
        raise InvalidInput("no cash flows are read here", exchange=self._id, source=cursor.source)

    async def close(self) -> None:
        await self._session.close()

    def market_type_of(self, symbol: Symbol) -> MarketType:
        """Which instance knows a symbol: ``BTC/USDT:USDT`` settles in something, so it is a
        contract."""
        wanted = MarketType.SWAP if ":" in symbol else MarketType.SPOT
        if wanted not in self._market_types:
            raise InstrumentUnavailable(
                "the exchange has no such kind of market", exchange=self._id, symbol=symbol
            )
        return wanted

    def orders_of(self, raw: Sequence[Any]) -> list[Order]:
        """Unified orders, all of them right or none."""
        received_at = self._session.now()
        return [parse.order(one, self.account_id, self._id, received_at) for one in raw]

    def fill_of(self, raw: Any, client_order_id: str | None = None) -> Fill:
        """One unified trade of ours."""
        return parse.fill(
            raw,
            self.account_id,
            self._id,
            self._session.now(),
            client_order_id=client_order_id,
        )

    def position_of(self, raw: Any) -> Position | None:
        """One unified position of ours; ``None`` when it is flat."""
        return parse.position(raw, self.account_id, self._id, self._session.now())

    async def _understood(
        self, market_type: MarketType, read: Callable[[Any, MarketType], Awaitable[T]]
    ) -> T:
        """Read something; once more with the instruments loaded anew when it names one that was
        listed since."""

        async def ask(client: Any) -> T:
            return await read(client, market_type)

        try:
            return await self._session.call(market_type, ask, list_is_good=True)
        except InstrumentUnavailable:
            await self._session.reload_markets(market_type)
        return await self._session.call(market_type, ask, list_is_good=True)

    def _some(self, tickers: Sequence[Ticker], asked: Sequence[Symbol]) -> tuple[Ticker, ...]:
        """One that was delisted may be missing; that all are is a broken answer."""
        if asked and not tickers:
            raise parse.broken("none of the tickers asked for", exchange=self._id)
        return tuple(tickers)

    def _by_market_type(self, symbols: Sequence[Symbol]) -> dict[MarketType, list[Symbol]]:
        grouped: dict[MarketType, list[Symbol]] = {}
        for symbol in symbols:
            grouped.setdefault(self.market_type_of(symbol), []).append(symbol)
        return grouped


def require_listed(client: Any, symbol: Symbol) -> Any:
    """CCXT's market of a symbol; `InstrumentUnavailable` where the exchange lists none."""
    market = client.markets.get(symbol)
    if market is None:
        raise InstrumentUnavailable("the exchange has no such symbol", symbol=symbol)
    return market
