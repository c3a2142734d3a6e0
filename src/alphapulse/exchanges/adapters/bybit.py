"""Bybit adapter: spot and linear perpetuals of a unified account.

Orders and fills are listed without a symbol. Fills come newest first, in windows of at most seven
days; a window is read to its end before anything is handed out.

Source: https://bybit-exchange.github.io/docs/v5, read 2026-11.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from alphapulse.domain.account import Permissions
from alphapulse.domain.balance import Balance, BalanceReport, Wallet
from alphapulse.domain.identifiers import (
    AccountId,
    ClientOrderId,
    ExchangeId,
    ExchangeOrderId,
    Symbol,
)
from alphapulse.domain.market import MarketSubscription, Ticker
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import Fill, Order
from alphapulse.domain.position import Position
from alphapulse.errors import InvalidInput, NotFound
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.exchange import CcxtExchange, require_listed
from alphapulse.exchanges.ccxt.session import ExchangeSession, moment_of_ms, ms_of
from alphapulse.exchanges.port import (
    Capabilities,
    FillCursor,
    FillPage,
    MarketSink,
    PrivateUpdate,
)
from alphapulse.exchanges.streams import bybit as bybit_stream
from alphapulse.exchanges.streams import private
from alphapulse.exchanges.streams.bybit_private import BybitPrivate, BybitReaders
from alphapulse.exchanges.streams.memory import StreamMemory

EXCHANGE = ExchangeId("bybit")

CAPABILITIES = Capabilities(
    spot=True,
    perpetual=True,
    market_stream=True,
    private_stream=True,
    positions=True,
    fills_without_symbol=True,
    orders_without_symbol=True,
    permissions=True,
)

CATEGORIES = {MarketType.SPOT: "spot", MarketType.SWAP: "linear"}

# Linear contracts are listed by the coin they settle in.
SETTLE_COINS = ("USDT", "USDC")

# Of spot, conditional orders are listed apart.
ORDER_FILTERS = ("Order", "StopOrder", "tpslOrder")

ROWS_PER_PAGE = 50
POSITIONS_PER_PAGE = 200
FILLS_PER_PAGE = 100

# The longest range the venue accepts.
FILL_WINDOW = timedelta(days=7)

# A window with more pages than this is read in smaller parts, so that one call stays short.
PAGES_MAX = 40

# The venue keeps executions for two years and refuses to be asked about earlier ones.
FILLS_KEPT = timedelta(days=729)

# What an execution may turn up late by.
FILL_OVERLAP = timedelta(seconds=60)

# Executions that move a position: the rest are funding and settlements.
_FILL_TYPES = {"Trade", "AdlTrade", "BustTrade", ""}


class BybitExchange(CcxtExchange):
    """One unified Bybit account, or the public side."""

    def __init__(self, account_id: AccountId | None, session: ExchangeSession) -> None:
        super().__init__(
            EXCHANGE, account_id, session, CAPABILITIES, (MarketType.SPOT, MarketType.SWAP)
        )
        self._memory = StreamMemory(EXCHANGE)

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
            balances = [_balance(row, client) for wallet in wallets for row in wallet["coin"]]
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
                rows += await _all_rows(
                    client.private_get_v5_position_list,
                    {"category": "linear", "settleCoin": coin, "limit": POSITIONS_PER_PAGE},
                )
            found = [self._position(client, row) for row in rows]
            return [one for one in found if one is not None]

        return tuple(await self._understood(MarketType.SWAP, read))

    async def _open_orders(self, client: Any, market_type: MarketType) -> list[Order]:
        category = CATEGORIES[market_type]
        kinds: list[dict[str, Any]]
        if market_type is MarketType.SPOT:
            kinds = [{"orderFilter": kind} for kind in ORDER_FILTERS]
        else:
            kinds = [{"settleCoin": coin} for coin in SETTLE_COINS]
        rows: list[Any] = []
        for kind in kinds:
            rows += await _all_rows(
                client.private_get_v5_order_realtime,
                {"category": category, "openOnly": 0, "limit": ROWS_PER_PAGE, **kind},
            )
        return self._orders(client, rows)

    async def fetch_order(
        self,
        symbol: Symbol,
        *,
        exchange_order_id: ExchangeOrderId | None = None,
        client_order_id: ClientOrderId | None = None,
    ) -> Order:
        if exchange_order_id is None and client_order_id is None:
            raise InvalidInput("an order is asked for by one of its ids", field="order_id")
        market_type = self.market_type_of(symbol)
        request: dict[str, Any] = {"category": CATEGORIES[market_type]}
        if exchange_order_id is not None:
            request["orderId"] = exchange_order_id
        else:
            request["orderLinkId"] = client_order_id

        async def read(client: Any, _: MarketType) -> list[Order]:
            # Open and just closed orders are in the one list, older ones in the other.
            request["symbol"] = client.market(symbol)["id"]
            answer = await client.private_get_v5_order_realtime(request)
            rows = answer["result"]["list"]
            if not rows:
                answer = await client.private_get_v5_order_history(request)
                rows = answer["result"]["list"]
            return self._orders(client, rows)

        found = await self._understood(market_type, read)
        if not found:
            raise NotFound("the exchange has no such order", exchange=self._id, symbol=symbol)
        return found[0]

    async def fetch_fills(self, cursor: FillCursor) -> FillPage:
        if not cursor.position.isdecimal():
            raise InvalidInput("not a Bybit fill cursor", field="cursor")
        start = moment_of_ms(int(cursor.position))
        # What the venue's clock says now is the end, so that nothing after it is skipped.
        now = self._session.venue_now()
        width = FILL_WINDOW
        end = min(start + width, now)
        while (fills := await self._fills_between(start, end)) is None:
            width /= 8
            if width < timedelta(milliseconds=1):
                raise parse.broken("more fills at one moment than can be", exchange=self._id)
            end = min(start + width, now)
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
            rows = await _rows_if_few(client.private_get_v5_execution_list, request)
            if rows is None:
                return None
            found = [self._fill(client, row) for row in rows]
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

    async def fetch_tickers(self, symbols: Sequence[Symbol]) -> tuple[Ticker, ...]:
        found: list[Ticker] = []
        for market_type, names in self._by_market_type(symbols).items():
            found += await self._tickers(market_type, names)
        return self._some(found, symbols)

    def _orders(self, client: Any, rows: Sequence[Any]) -> list[Order]:
        return self.orders_of([client.parse_order(row, _market(client, row)) for row in rows])

    def _fill(self, client: Any, row: parse.Raw) -> Fill | None:
        """``None`` for funding and settlements, which are listed among the executions."""
        if row.get("execType", "") not in _FILL_TYPES:
            return None
        return self.fill_of(_trade(client, row), row.get("orderLinkId"))

    def _position(self, client: Any, row: parse.Raw) -> Position | None:
        raw = client.parse_position(row, _market(client, row))
        return parse.position(raw, self.account_id, self._id, self._session.now())

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
            symbol=lambda row: parse.symbol_of(_market(client_of(row), row)),
            order=lambda row: self._orders(client_of(row), [row])[0],
            fill=lambda row: self._fill(client_of(row), row),
            balance=lambda row: _balance(row, clients["spot"]),
            position=lambda row: self._position(client_of(row), row),
        )
        await private.watch(
            await self._session.pro_client(MarketType.SPOT, private.Taking),
            BybitPrivate(readers, self.account_id, self._session.now),
            sink,
            on_connected=on_connected,
        )


async def _all_rows(
    ask: Callable[[dict[str, Any]], Awaitable[Any]], request: dict[str, Any]
) -> list[Any]:
    """Every row of a listing, or an error."""
    rows = await _rows_if_few(ask, request)
    if rows is None:
        raise parse.broken("a listing without end", exchange=EXCHANGE)
    return rows


async def _rows_if_few(
    ask: Callable[[dict[str, Any]], Awaitable[Any]], request: dict[str, Any]
) -> list[Any] | None:
    """Every row, page after page until the venue names no next one; ``None`` of too many pages."""
    rows: list[Any] = []
    mark, seen = "", set[str]()
    for _ in range(PAGES_MAX):
        result = (await ask({**request, "cursor": mark} if mark else request))["result"]
        rows += result["list"]
        mark = result.get("nextPageCursor") or ""
        if not mark or not result["list"]:
            return rows
        if mark in seen:
            raise parse.broken("a page mark that comes again", exchange=EXCHANGE)
        seen.add(mark)
    return None


def _market(client: Any, row: parse.Raw) -> Any:
    """CCXT's market of a row; by the category, for spot and linear share their names."""
    kind = "spot" if client.options["defaultType"] == "spot" else "swap"
    return client.safe_market(parse.text(row, "symbol"), None, None, kind)


def _trade(client: Any, row: parse.Raw) -> Any:
    """CCXT's trade of an execution, with the fee in the coin the venue names: it may be a third."""
    trade = client.parse_trade(row, _market(client, row))
    coin = row.get("feeCurrency")
    if coin:
        trade["fee"] = {"cost": row.get("execFee"), "currency": client.safe_currency_code(coin)}
    return trade


def _balance(row: parse.Raw, client: Any) -> Balance:
    total = parse.decimal(row, "walletBalance")
    # Locked by spot orders, and margin held for orders and positions.
    held = sum(
        (
            parse.optional_decimal(row, key) or ZERO
            for key in ("locked", "totalOrderIM", "totalPositionIM")
        ),
        ZERO,
    )
    free = min(max(ZERO, total - held), total)
    return Balance(
        wallet=Wallet.UNIFIED,
        asset=parse.asset_of(client.safe_currency_code(parse.text(row, "coin"))),
        free=free,
        locked=total - free,
        borrowed=parse.optional_decimal(row, "borrowAmount") or ZERO,
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
