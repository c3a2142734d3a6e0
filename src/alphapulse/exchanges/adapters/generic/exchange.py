"""Others: any exchange of CCXT, as far as CCXT's unified methods carry.

What the exchange can do is read from CCXT's own tables, without a request. Fills are read by time:
CCXT's unified paging knows nothing better that holds everywhere.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from alphapulse.domain.account import UNKNOWN_PERMISSIONS, Permissions
from alphapulse.domain.balance import Balance, BalanceReport, Wallet
from alphapulse.domain.cash_flow import FlowCursor
from alphapulse.domain.identifiers import (
    AccountId,
    ClientOrderId,
    ExchangeId,
    ExchangeOrderId,
    Symbol,
)
from alphapulse.domain.market import MarketSubscription
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import Order, OrderType
from alphapulse.domain.position import Position
from alphapulse.errors import InvalidInput
from alphapulse.exchanges.adapters.generic.cash_flows import GenericFlows
from alphapulse.exchanges.adapters.generic.desk import GenericDesk
from alphapulse.exchanges.ccxt import loading, parse
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.session import ExchangeSession, moment_of_ms, ms_of
from alphapulse.exchanges.ccxt.trading import CcxtTrader, asked_for
from alphapulse.exchanges.order_profiles import ORDER_PROFILES
from alphapulse.exchanges.port import (
    Capabilities,
    FillCursor,
    FillPage,
    FlowPage,
    MarketSink,
    OrderProfile,
    PrivateUpdate,
)
from alphapulse.exchanges.streams import generic as stream
from alphapulse.exchanges.streams.memory import StreamMemory

FILLS_PER_PAGE = 100

# Where the venue states no limit to a range of time.
UNLIMITED = timedelta(days=36_500)


class GenericExchange(CcxtTrader):
    """One account on any exchange of CCXT, or its public side."""

    def __init__(
        self,
        exchange: ExchangeId,
        account_id: AccountId | None,
        session: ExchangeSession,
        found: Capabilities,
    ) -> None:
        super().__init__(exchange, account_id, session, found, market_types(found))
        self._memory = StreamMemory(exchange)
        self._flows = GenericFlows(exchange, session, self._market_types[0])
        profile = _order_profile(exchange)
        self._form = "{}" if profile is None else profile.client_id_form
        self._desks = (
            {MarketType.SPOT: GenericDesk(self, profile)}
            if profile is not None and MarketType.SPOT in self._market_types
            else {}
        )

    async def measure_clock(self) -> int:
        if not self._has("fetchTime"):
            return 0  # nobody to ask; the venue takes our time as it is
        return await super().measure_clock()

    async def fetch_permissions(self) -> Permissions:
        return UNKNOWN_PERMISSIONS

    async def fetch_balances(self) -> BalanceReport:
        # Of the first kind of market only: where an exchange has one wallet for all of them, it
        # tells the same balances again for the other, and nothing says which exchanges do.
        market_type = self._market_types[0]
        raw = await self._session.call(market_type, lambda client: client.fetch_balance())
        wallet = Wallet.SPOT if market_type is MarketType.SPOT else Wallet.FUTURES
        return BalanceReport(
            account_id=self.account_id,
            wallets=frozenset({wallet}),
            balances=tuple(_balances(raw, wallet)),
            occurred_at=self._session.venue_now(),
            received_at=self._session.now(),
        )

    async def fetch_positions(self) -> tuple[Position, ...]:
        if not self._capabilities.positions:
            return ()

        async def read(client: Any, _: MarketType) -> list[Position]:
            raw = await client.fetch_positions()
            now = self._session.now()
            found = [parse.position(one, self.account_id, self._id, now) for one in raw]
            return [one for one in found if one is not None]

        return tuple(await self._understood(MarketType.SWAP, read))

    async def fetch_order(
        self,
        symbol: Symbol,
        *,
        exchange_order_id: ExchangeOrderId | None = None,
        client_order_id: ClientOrderId | None = None,
    ) -> Order:
        if exchange_order_id is None and client_order_id is None:
            raise InvalidInput("an order is asked for by one of its ids", field="order_id")
        params = {} if client_order_id is None else {"clientOrderId": client_order_id}
        raw = await self._session.call(
            self.market_type_of(symbol),
            lambda client: client.fetch_order(exchange_order_id, symbol, params),
        )
        # An exchange that does not know the parameter answers with some order.
        return asked_for(self.orders_of([raw])[0], exchange_order_id, client_order_id)

    def orders_of(self, raw: Sequence[Any]) -> list[Order]:
        return [
            one
            if one.client_order_id is None
            else replace(one, client_order_id=self.ours(one.client_order_id))
            for one in super().orders_of(raw)
        ]

    def now(self) -> datetime:
        """Our time."""
        return self._session.now()

    def ours(self, name: str) -> ClientOrderId:
        """A name as this exchange shows it, as we gave it; CCXT puts it into the exchange's form
        by itself."""
        return ClientOrderId(name.removeprefix(self._form.removesuffix("{}")))

    async def fetch_fills(self, cursor: FillCursor) -> FillPage:
        since = _since(cursor)
        now = self._session.venue_now()
        market_type = (
            self._market_types[0] if cursor.symbol is None else self.market_type_of(cursor.symbol)
        )

        async def read(client: Any) -> tuple[list[Any], datetime]:
            end = min(now, since + _window(client, market_type))
            limited = {} if end >= now else {"until": ms_of(end)}
            raw = await client.fetch_my_trades(cursor.symbol, ms_of(since), FILLS_PER_PAGE, limited)
            return raw, end

        raw, end = await self._session.call(market_type, read, list_is_good=True)
        fills = parse.unique_fills(self.fill_of(one) for one in raw)
        newest = fills[-1].occurred_at if fills else since
        if newest > since:
            # The last millisecond is read again: others may share it.
            next_cursor = FillCursor(cursor.symbol, str(ms_of(newest)))
            return FillPage(fills, next_cursor, is_last=False, read_until=newest)
        if len(raw) >= FILLS_PER_PAGE:
            raise parse.broken("a page of one moment that never ends", exchange=self._id)
        is_last = end >= now
        resume_at = since if is_last else end
        next_cursor = FillCursor(cursor.symbol, str(ms_of(resume_at)))
        return FillPage(fills, next_cursor, is_last=is_last, read_until=end)

    def first_fill_cursors(
        self, symbols: Sequence[Symbol], since: datetime
    ) -> tuple[FillCursor, ...]:
        position = str(ms_of(since))
        if self._capabilities.fills_without_symbol:
            return (FillCursor(None, position),)
        return tuple(FillCursor(symbol, position) for symbol in symbols)

    def first_flow_cursors(self, since: datetime) -> tuple[FlowCursor, ...]:
        return self._flows.first_cursors(since)

    async def fetch_cash_flows(self, cursor: FlowCursor) -> FlowPage:
        return await self._flows.page(self.account_id, cursor)

    async def watch_market(
        self,
        subscription: MarketSubscription,
        sink: MarketSink,
        *,
        on_connected: Callable[[], None],
    ) -> None:
        if not self._capabilities.market_stream:
            raise InvalidInput("this exchange has no stream; it is polled", exchange=self._id)
        shares = [
            stream.Share(await self._session.pro_client(market_type, stream.Stored), share)
            for market_type in self._market_types
            if (share := self._share(subscription, market_type)) != MarketSubscription()
        ]
        await stream.watch(
            shares,
            sink,
            memory=self._memory,
            clock=self._session.clock,
            on_connected=on_connected,
        )

    def _share(
        self, subscription: MarketSubscription, market_type: MarketType
    ) -> MarketSubscription:
        """What of a subscription is traded on one kind of market."""

        def ours(symbol: Symbol) -> bool:
            return self.market_type_of(symbol) is market_type

        return MarketSubscription(
            tickers=frozenset(filter(ours, subscription.tickers)),
            trades=frozenset(filter(ours, subscription.trades)),
            candles=frozenset(one for one in subscription.candles if ours(one[0])),
        )

    async def watch_private(
        self,
        sink: Callable[[PrivateUpdate], Awaitable[None]],
        *,
        on_connected: Callable[[], Awaitable[None]],
    ) -> None:
        raise InvalidInput("this exchange has no stream; it is polled", exchange=self._id)

    def _has(self, method: str) -> bool:
        return bool(self._session.client(self._market_types[0]).has.get(method))


@cache
def capabilities(exchange: ExchangeId) -> Capabilities:
    """What CCXT says an exchange can do, without asking the exchange."""
    client = loading.exchange_class(exchange)()
    is_pro = exchange in loading.known_exchanges(pro=True)
    streams = loading.exchange_class(exchange, pro=True)().has if is_pro else {}
    spot, perpetual = bool(client.has.get("spot")), bool(client.has.get("swap"))
    main = "spot" if spot else "swap"

    def needs_symbol(method: str) -> bool:
        return bool(client.feature_value_by_type(main, None, method, "symbolRequired", True))

    return Capabilities(
        spot=spot,
        perpetual=perpetual,
        market_stream=any(streams.get(name) for name in ("watchTicker", "watchTickers")),
        private_stream=False,
        positions=perpetual and bool(client.has.get("fetchPositions")),
        # Of two kinds of market each has its own list, and one cursor cannot stand in both.
        fills_without_symbol=spot != perpetual and not needs_symbol("fetchMyTrades"),
        orders_without_symbol=not needs_symbol("fetchOpenOrders"),
        permissions=False,
        trading=_order_profile(exchange) is not None,
    )


def _order_profile(exchange: ExchangeId) -> OrderProfile | None:
    """Of spot, as far as CCXT's unified methods carry; ``None`` where no name of ours fits."""
    known = ORDER_PROFILES.get((exchange, MarketType.SPOT.value))
    if known is None:
        return None
    return replace(
        known,
        types=known.types & {OrderType.LIMIT, OrderType.MARKET},
        amends_in_place=False,
        has_quote_quantity=False,
        has_attached_exits=False,
        has_gtd=False,
    )


def market_types(found: Capabilities) -> tuple[MarketType, ...]:
    """The kinds of market an exchange is asked about."""
    both = ((found.spot, MarketType.SPOT), (found.perpetual, MarketType.SWAP))
    return tuple(market_type for has, market_type in both if has)


def _since(cursor: FillCursor) -> datetime:
    if not cursor.position.isdecimal():
        raise InvalidInput("not a fill cursor of this exchange", field="cursor")
    return moment_of_ms(int(cursor.position))


def _window(client: Any, market_type: MarketType) -> timedelta:
    """The longest range of fills that may be asked for at once."""
    sub_type = "linear" if market_type is MarketType.SWAP else None
    days = client.feature_value_by_type(market_type.value, sub_type, "fetchMyTrades", "untilDays")
    return timedelta(days=float(days)) if days else UNLIMITED


def _balances(raw: parse.Raw, wallet: Wallet) -> list[Balance]:
    """Every asset of CCXT's balance structure: what it holds beside its totals and its source."""
    found = []
    for code, total in raw["total"].items():
        if total is None:
            raise parse.broken("a balance without a total", asset=code)
        free = parse.optional_decimal(raw["free"], code)
        owed = parse.optional_decimal(raw.get("debt") or {}, code) or ZERO
        amount = parse.decimal(raw["total"], code)
        if amount == 0 and owed == 0:
            continue
        available = amount if free is None else min(free, amount)
        found.append(Balance(wallet, parse.asset_of(code), available, amount - available, owed))
    return found
