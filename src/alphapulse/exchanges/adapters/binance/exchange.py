"""Binance adapter: one account over spot and USD-M futures.

Orders and fills are listed per symbol; open orders are not. A key's permissions are told; one that
may not touch futures serves spot alone. Fills are read by id, which has no gaps: the venue limits
a time range and says nothing about what lies beyond.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api and
https://developers.binance.com/docs/derivatives/usds-margined-futures, read 2026-11.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from loguru import logger

from alphapulse.domain.account import Permissions
from alphapulse.domain.balance import BalanceReport, Wallet
from alphapulse.domain.cash_flow import FlowCursor
from alphapulse.domain.identifiers import (
    AccountId,
    ClientOrderId,
    ExchangeId,
    ExchangeOrderId,
    Symbol,
)
from alphapulse.domain.market import MarketSubscription, Ticker
from alphapulse.domain.order import Order
from alphapulse.domain.position import Position
from alphapulse.errors import InvalidInput
from alphapulse.exchanges.adapters.binance import usdm_holdings, usdm_tickers
from alphapulse.exchanges.adapters.binance.desk import ROWS_PER_PAGE, BinanceDesk
from alphapulse.exchanges.adapters.binance.flows import INCOME, BinanceFlows
from alphapulse.exchanges.adapters.binance.spot import BinanceSpotDesk
from alphapulse.exchanges.adapters.binance.usdm import BinanceUsdmDesk
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.session import ExchangeSession
from alphapulse.exchanges.ccxt.trading import CcxtTrader
from alphapulse.exchanges.port import (
    Capabilities,
    FillCursor,
    FillPage,
    FlowPage,
    MarketSink,
    PrivateUpdate,
)
from alphapulse.exchanges.streams import binance as binance_stream
from alphapulse.exchanges.streams import private
from alphapulse.exchanges.streams.binance_private import BinancePrivate
from alphapulse.exchanges.streams.binance_usdm_private import (
    BinanceUsdmPrivate,
    UsdmReaders,
    keep_alive,
)
from alphapulse.exchanges.streams.memory import StreamMemory

EXCHANGE = ExchangeId("binance")

CAPABILITIES = Capabilities(
    spot=True,
    perpetual=True,
    market_stream=True,
    private_stream=True,
    positions=True,
    fills_without_symbol=False,
    orders_without_symbol=True,
    permissions=True,
    trading=True,
    cash_flows=True,
)

SPOT, SWAP = MarketType.SPOT, MarketType.SWAP

WALLETS = {SPOT: Wallet.SPOT, SWAP: Wallet.FUTURES}


class BinanceExchange(CcxtTrader):
    """One Binance account with its spot and futures wallets, or the public side."""

    def __init__(self, account_id: AccountId | None, session: ExchangeSession) -> None:
        super().__init__(EXCHANGE, account_id, session, CAPABILITIES, (SPOT, SWAP))
        self._memory = StreamMemory(EXCHANGE)
        self._spot = BinanceSpotDesk(self, session)
        self._usdm = BinanceUsdmDesk(self, session)
        self._books: dict[MarketType, BinanceDesk] = {SPOT: self._spot, SWAP: self._usdm}
        self._desks = {SPOT: self._spot, SWAP: self._usdm}
        self._flows = BinanceFlows(session)
        self._has_futures: bool | None = None

    async def fetch_permissions(self) -> Permissions:
        async def read(client: Any) -> Permissions:
            raw = await client.sapi_get_account_apirestrictions()
            self._note_futures(bool(raw.get("enableFutures")))
            return Permissions(
                read=raw.get("enableReading"),
                trade=raw.get("enableSpotAndMarginTrading"),
                withdraw=raw.get("enableWithdrawals"),
                ip_restricted=raw.get("ipRestrict"),
                expires_at=parse.optional_expiry(raw, "tradingAuthorityExpirationTime"),
            )

        return await self._session.call(SPOT, read)

    def _note_futures(self, has_futures: bool) -> None:
        if not has_futures and self._has_futures is not False:
            logger.bind(exchange=EXCHANGE, account=self._account_id).warning(
                "the key may not touch futures: spot alone is served"
            )
        self._has_futures = has_futures

    async def _held(self) -> tuple[MarketType, ...]:
        if self._has_futures is None:
            await self.fetch_permissions()
        return (SPOT, SWAP) if self._has_futures else (SPOT,)

    async def fetch_balances(self) -> BalanceReport:
        held = await self._held()
        found = await self._session.call(SPOT, self._spot.balances)
        if SWAP in held:
            found = found + await self._session.call(SWAP, usdm_holdings.balances)
        return BalanceReport(
            account_id=self.account_id,
            wallets=frozenset(WALLETS[market_type] for market_type in held),
            balances=tuple(one for one in found if one.total != 0),
            # The venue's own time here is that of the last change, maybe years ago.
            occurred_at=self._session.venue_now(),
            received_at=self._session.now(),
        )

    async def _open_orders(self, client: Any, market_type: MarketType) -> list[Order]:
        return await self._books[market_type].open_orders(client)

    async def fetch_positions(self) -> tuple[Position, ...]:
        if SWAP not in await self._held():
            return ()

        async def read(client: Any, _: MarketType) -> list[Position]:
            return await usdm_holdings.positions(client, self.account_id, self._session.now())

        return tuple(await self._understood(SWAP, read))

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
        desk = self._books[market_type]
        return await self._session.call(
            market_type,
            lambda client: desk.fetch(client, symbol, exchange_order_id, client_order_id),
        )

    async def _tickers(self, market_type: MarketType, names: Sequence[Symbol]) -> list[Ticker]:
        if market_type is SPOT:
            return await super()._tickers(market_type, names)
        return await self._session.call(
            SWAP, lambda client: usdm_tickers.tickers(client, names, self._session.now())
        )

    async def fetch_fills(self, cursor: FillCursor) -> FillPage:
        symbol, first_id = cursor.symbol, cursor.position
        if symbol is None or not first_id.isdecimal():
            raise InvalidInput("not a Binance fill cursor", field="cursor")
        market_type = self.market_type_of(symbol)
        desk = self._books[market_type]
        fills = await self._session.call(
            market_type,
            lambda client: desk.fills_from(client, symbol, int(first_id)),
            list_is_good=True,
        )
        next_id = max((int(one.trade_id) for one in fills), default=int(first_id) - 1) + 1
        return FillPage(
            fills=fills,
            next_cursor=FillCursor(symbol, str(next_id)),
            is_last=len(fills) < ROWS_PER_PAGE,
        )

    def first_fill_cursors(
        self, symbols: Sequence[Symbol], since: datetime
    ) -> tuple[FillCursor, ...]:
        # From the account's first trade of each symbol on: no id is known of a moment.
        return tuple(FillCursor(symbol, "0") for symbol in symbols)

    def first_flow_cursors(self, since: datetime) -> tuple[FlowCursor, ...]:
        return self._flows.first_cursors(since)

    async def fetch_cash_flows(self, cursor: FlowCursor) -> FlowPage:
        if cursor.source == INCOME and SWAP not in await self._held():
            # It waits where it is: the key may be allowed to look one day.
            return FlowPage((), cursor, is_last=True)
        return await self._flows.page(self.account_id, cursor)

    async def watch_market(
        self,
        subscription: MarketSubscription,
        sink: MarketSink,
        *,
        on_connected: Callable[[], None],
    ) -> None:
        await binance_stream.watch(
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
        spot = await self._session.pro_client(SPOT, private.Taking)
        parts: list[tuple[Any, private.Face]] = [
            (spot, BinancePrivate(spot, self.account_id, self._session.now))
        ]
        has_futures = SWAP in await self._held()
        if has_futures:
            parts.append(await self._futures_stream())
        await private.watch_all(
            parts,
            sink,
            on_connected=on_connected,
            keep_alive=(self._keep_listen_key,) if has_futures else (),
        )

    async def _futures_stream(self) -> tuple[Any, private.Face]:
        answer = await self._session.call(SWAP, lambda client: client.fapiprivate_post_listenkey())
        client = await self._session.pro_client(SWAP, private.Taking)
        readers = UsdmReaders(
            order=lambda row: self._usdm.order(client, row),
            algo_order=lambda row: self._usdm.algo_order(client, row),
            fill=lambda row: self._usdm.fills_of(client, [row])[0],
            symbol=lambda name: parse.symbol_of(client.safe_market(name, None, None, "swap")),
        )
        key = parse.text(answer, "listenKey")
        return client, BinanceUsdmPrivate(key, readers, self.account_id, self._session.now)

    async def _keep_listen_key(self) -> None:
        await keep_alive(
            lambda: self._session.call(SWAP, lambda client: client.fapiprivate_put_listenkey())
        )
