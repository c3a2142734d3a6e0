"""Bybit adapter: spot and linear perpetuals of a unified account.

Orders and fills are listed without a symbol. Fills come newest first, in windows of at most seven
days; a window is read to its end before anything is handed out.

Source: https://bybit-exchange.github.io/docs/v5, read 2026-11.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from alphapulse.domain.account import Permissions
from alphapulse.domain.balance import BalanceReport, Wallet
from alphapulse.domain.cash_flow import FlowCursor
from alphapulse.domain.identifiers import (
    AccountId,
    Asset,
    ClientOrderId,
    ExchangeOrderId,
    Symbol,
)
from alphapulse.domain.market import MarketSubscription, Ticker, Timeframe
from alphapulse.domain.order import Fill, Order
from alphapulse.domain.position import Position
from alphapulse.errors import InvalidInput
from alphapulse.exchanges.adapters.bybit.cash_flows import BybitFlows
from alphapulse.exchanges.adapters.bybit.log_rows import LogRows
from alphapulse.exchanges.adapters.bybit.orders import FILLS_PER_PAGE, BybitDesk
from alphapulse.exchanges.adapters.bybit.rows import (
    CATEGORIES,
    SETTLE_COINS,
    BybitRows,
    all_rows,
    balance,
    rows_if_few,
    symbol,
    whole_window,
)
from alphapulse.exchanges.adapters.bybit.rows import (
    EXCHANGE as EXCHANGE,
)
from alphapulse.exchanges.adapters.bybit.usd_index import CONTRACTS, closed_minutes
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.exchange import require_listed
from alphapulse.exchanges.ccxt.session import ExchangeSession, moment_of_ms, ms_of
from alphapulse.exchanges.ccxt.trading import CcxtTrader
from alphapulse.exchanges.port import (
    Capabilities,
    FillCursor,
    FillPage,
    FlowPage,
    MarketSink,
    MinuteClose,
    PrivateUpdate,
)
from alphapulse.exchanges.streams import bybit as bybit_stream
from alphapulse.exchanges.streams import private
from alphapulse.exchanges.streams.bybit_private import BybitPrivate, BybitReaders
from alphapulse.exchanges.streams.memory import StreamMemory

CAPABILITIES = Capabilities(
    spot=True,
    perpetual=True,
    market_stream=True,
    private_stream=True,
    positions=True,
    fills_without_symbol=True,
    orders_without_symbol=True,
    permissions=True,
    trading=True,
    cash_flows=True,
    usd_index=frozenset(CONTRACTS),
)

POSITIONS_PER_PAGE = 200

# The longest range the venue accepts.
FILL_WINDOW = timedelta(days=7)

# The venue keeps executions for two years and refuses to be asked about earlier ones.
FILLS_KEPT = timedelta(days=729)

# What an execution may turn up late by.
FILL_OVERLAP = timedelta(seconds=60)


class BybitExchange(CcxtTrader):
    """One unified Bybit account, or the public side."""

    def __init__(self, account_id: AccountId | None, session: ExchangeSession) -> None:
        super().__init__(
            EXCHANGE, account_id, session, CAPABILITIES, (MarketType.SPOT, MarketType.SWAP)
        )
        self._memory = StreamMemory(EXCHANGE)
        self._rows = BybitRows(self)
        self._books = {kind: BybitDesk(kind, self._rows, session) for kind in CATEGORIES}
        self._desks = dict(self._books)
        self._flows = BybitFlows(LogRows(lambda: self.account_id, session.now), session)

    async def fetch_permissions(self) -> Permissions:
        async def read(client: Any) -> Permissions:
            raw = (await client.private_get_v5_user_query_api())["result"]
            may, may_write = raw["permissions"], str(raw["readOnly"]) == "0"
            return Permissions(
                read=True,  # it just did
                trade=may_write and bool(may.get("Spot") or may.get("ContractTrade")),
                withdraw=may_write and "Withdraw" in (may.get("Wallet") or ()),
                ip_restricted=any(ip != "*" for ip in raw.get("ips") or ()),
                expires_at=parse.optional_expiry(raw, "expiredAt"),
            )

        return await self._session.call(MarketType.SPOT, read)

    async def fetch_balances(self) -> BalanceReport:
        async def read(client: Any) -> BalanceReport:
            unified = {"accountType": "UNIFIED"}
            answer = await client.private_get_v5_account_wallet_balance(unified)
            wallets = answer["result"]["list"]
            balances = [balance(row, client) for wallet in wallets for row in wallet["coin"]]
            return BalanceReport(
                account_id=self.account_id,
                wallets=frozenset({Wallet.UNIFIED}),
                balances=tuple(one for one in balances if one.total != 0 or one.borrowed != 0),
                occurred_at=parse.moment(answer, "time", self._session.venue_now()),
                received_at=self._session.now(),
            )

        return await self._session.call(MarketType.SPOT, read)

    async def fetch_positions(self) -> tuple[Position, ...]:
        async def read(client: Any, _: MarketType) -> list[Position]:
            rows: list[Any] = []
            for coin in SETTLE_COINS:
                rows += await all_rows(
                    client.private_get_v5_position_list,
                    {"category": "linear", "settleCoin": coin, "limit": POSITIONS_PER_PAGE},
                )
            found = [self._rows.position(client, row) for row in rows]
            return [one for one in found if one is not None]

        return tuple(await self._understood(MarketType.SWAP, read))

    async def _open_orders(self, client: Any, market_type: MarketType) -> list[Order]:
        return await self._books[market_type].open_orders(client)

    async def fetch_order(
        self,
        symbol: Symbol,
        *,
        exchange_order_id: ExchangeOrderId | None = None,
        client_order_id: ClientOrderId | None = None,
    ) -> Order:
        if exchange_order_id is None and client_order_id is None:
            raise InvalidInput("an order is asked for by one of its ids", field="order_id")

        async def read(client: Any, market_type: MarketType) -> Order:
            desk = self._books[market_type]
            return await desk.fetch(client, symbol, exchange_order_id, client_order_id)

        return await self._understood(self.market_type_of(symbol), read)

    async def fetch_fills(self, cursor: FillCursor) -> FillPage:
        if not cursor.position.isdecimal():
            raise InvalidInput("not a Bybit fill cursor", field="cursor")
        start = moment_of_ms(int(cursor.position))
        # What the venue's clock says now is the end, so that nothing after it is skipped.
        now = self._session.venue_now()
        fills, end = await whole_window(self._fills_between, start, now, FILL_WINDOW)
        is_last = end >= now
        resume_at = max(start, end - FILL_OVERLAP) if is_last else end
        return FillPage(
            fills=parse.unique_fills(fills),
            next_cursor=FillCursor(None, str(ms_of(resume_at))),
            is_last=is_last,
            read_until=end,
        )

    async def _fills_between(self, start: datetime, end: datetime) -> list[Fill] | None:
        """Every fill of that time; ``None`` when they are too many for one call."""
        fills: list[Fill] = []
        window = {"startTime": ms_of(start), "endTime": ms_of(end), "limit": FILLS_PER_PAGE}

        async def read(client: Any, market_type: MarketType) -> list[Fill] | None:
            request = {"category": CATEGORIES[market_type], **window}
            rows = await rows_if_few(client.private_get_v5_execution_list, request)
            if rows is None:
                return None
            found = [self._rows.fill(client, row) for row in rows]
            return [one for one in found if one is not None]

        for market_type in self._market_types:
            found = await self._understood(market_type, read)
            if found is None:
                return None
            fills += found
        return fills

    def first_fill_cursors(
        self, symbols: Sequence[Symbol], since: datetime
    ) -> tuple[FillCursor, ...]:
        begin = max(since, self._session.venue_now() - FILLS_KEPT)
        return (FillCursor(None, str(ms_of(begin))),)

    def first_flow_cursors(self, since: datetime) -> tuple[FlowCursor, ...]:
        return self._flows.first_cursors(since)

    async def fetch_cash_flows(self, cursor: FlowCursor) -> FlowPage:
        return await self._flows.page(cursor)

    async def _tickers(self, market_type: MarketType, names: Sequence[Symbol]) -> list[Ticker]:
        async def read(client: Any) -> list[Ticker]:
            by_name = {require_listed(client, name)["id"]: name for name in names}
            request = {"category": CATEGORIES[market_type]}
            if len(by_name) == 1:
                request["symbol"] = next(iter(by_name))
            answer = await client.public_get_v5_market_tickers(request)
            now = self._session.now()
            at = parse.moment(answer, "time", self._session.venue_now())
            return [
                _ticker(row, by_name[row["symbol"]], at, now)
                for row in answer["result"]["list"]
                if row["symbol"] in by_name
            ]

        return await self._session.call(market_type, read)

    def _until(self, timeframe: Timeframe, since: datetime, limit: int) -> Mapping[str, int]:
        # Without an end it is not said whether the venue counts from the start or back from now.
        return {"until": ms_of(since + limit * timeframe.duration) - 1}

    async def fetch_usd_index(
        self, asset: Asset, since: datetime, limit: int
    ) -> tuple[MinuteClose, ...]:
        if asset not in CONTRACTS:
            return await super().fetch_usd_index(asset, since, limit)
        return await closed_minutes(self._session, CONTRACTS[asset], since, limit)

    async def watch_market(
        self,
        subscription: MarketSubscription,
        sink: MarketSink,
        *,
        on_connected: Callable[[], None],
    ) -> None:
        await bybit_stream.watch(
            subscription,
            sink,
            instruments=await self.instruments(),
            address=self._session.address,
            memory=self._memory,
            clock=self._session.clock,
            on_connected=on_connected,
        )

    async def watch_private(
        self,
        sink: Callable[[PrivateUpdate], Awaitable[None]],
        *,
        on_connected: Callable[[], Awaitable[None]],
    ) -> None:
        clients = {
            category: await self._session.loaded(market_type)
            for market_type, category in CATEGORIES.items()
        }

        def client_of(row: parse.Raw) -> Any:
            return clients[parse.text(row, "category")]

        readers = BybitReaders(
            symbol=lambda row: symbol(client_of(row), row),
            order=lambda row: self._rows.orders(client_of(row), [row])[0],
            fill=lambda row: self._rows.fill(client_of(row), row),
            balance=lambda row: balance(row, clients["spot"]),
            position=lambda row: self._rows.position(client_of(row), row),
        )
        await private.watch(
            await self._session.pro_client(MarketType.SPOT, private.Taking),
            BybitPrivate(readers, self.account_id, self._session.now),
            sink,
            on_connected=on_connected,
        )


def _ticker(row: parse.Raw, name: Symbol, at: datetime, received_at: datetime) -> Ticker:
    return Ticker(
        exchange=EXCHANGE,
        symbol=name,
        occurred_at=at,
        received_at=received_at,
        last=parse.positive_decimal(row, "lastPrice"),
        bid=parse.positive_decimal(row, "bid1Price"),
        ask=parse.positive_decimal(row, "ask1Price"),
        mark=parse.positive_decimal(row, "markPrice"),
        index=parse.positive_decimal(row, "indexPrice"),
        index_price_usd=parse.positive_decimal(row, "usdIndexPrice"),
        open_24h=parse.positive_decimal(row, "prevPrice24h"),
        high_24h=parse.positive_decimal(row, "highPrice24h"),
        low_24h=parse.positive_decimal(row, "lowPrice24h"),
        base_volume_24h=parse.optional_decimal(row, "volume24h"),
        quote_volume_24h=parse.optional_decimal(row, "turnover24h"),
        funding_rate=parse.optional_decimal(row, "fundingRate"),
        next_funding_at=parse.optional_moment(row, "nextFundingTime", at),
    )
