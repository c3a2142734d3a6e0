"""Binance adapter: spot.

Orders and fills are listed per symbol; open orders are not. A key's permissions are told. Fills
are read by id, which has no gaps: the venue limits a time range to 24 hours and says nothing about
what lies beyond.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api, read 2026-11.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from alphapulse.domain.account import Permissions
from alphapulse.domain.balance import BalanceReport, Wallet
from alphapulse.domain.identifiers import (
    AccountId,
    ClientOrderId,
    ExchangeId,
    ExchangeOrderId,
    Symbol,
)
from alphapulse.domain.market import MarketSubscription
from alphapulse.domain.order import Order
from alphapulse.domain.position import Position
from alphapulse.errors import InvalidInput
from alphapulse.exchanges.adapters.binance.spot import BinanceSpotDesk
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.session import ExchangeSession
from alphapulse.exchanges.ccxt.trading import CcxtTrader
from alphapulse.exchanges.port import (
    Capabilities,
    FillCursor,
    FillPage,
    MarketSink,
    PrivateUpdate,
)
from alphapulse.exchanges.streams import binance as binance_stream
from alphapulse.exchanges.streams import private
from alphapulse.exchanges.streams.binance_private import BinancePrivate
from alphapulse.exchanges.streams.memory import StreamMemory

EXCHANGE = ExchangeId("binance")

CAPABILITIES = Capabilities(
    spot=True,
    perpetual=False,
    market_stream=True,
    private_stream=True,
    positions=False,
    fills_without_symbol=False,
    orders_without_symbol=True,
    permissions=True,
    trading=True,
)

# The venue's own limit; the weight is the same for less.
FILLS_PER_PAGE = 1000


class BinanceExchange(CcxtTrader):
    """One Binance spot account, or the public side."""

    def __init__(self, account_id: AccountId | None, session: ExchangeSession) -> None:
        super().__init__(EXCHANGE, account_id, session, CAPABILITIES, (MarketType.SPOT,))
        self._memory = StreamMemory(EXCHANGE)
        self._spot = BinanceSpotDesk(self, session)
        self._desks = {MarketType.SPOT: self._spot}

    async def fetch_permissions(self) -> Permissions:
        async def read(client: Any) -> Permissions:
            raw = await client.sapi_get_account_apirestrictions()
            return Permissions(
                read=raw.get("enableReading"),
                trade=raw.get("enableSpotAndMarginTrading"),
                withdraw=raw.get("enableWithdrawals"),
                ip_restricted=raw.get("ipRestrict"),
                expires_at=parse.optional_expiry(raw, "tradingAuthorityExpirationTime"),
            )

        return await self._session.call(MarketType.SPOT, read)

    async def fetch_balances(self) -> BalanceReport:
        async def read(client: Any) -> BalanceReport:
            balances = await self._spot.balances(client)
            return BalanceReport(
                account_id=self.account_id,
                wallets=frozenset({Wallet.SPOT}),
                balances=tuple(one for one in balances if one.total != 0),
                # The venue's own time here is that of the last change, maybe years ago.
                occurred_at=self._session.venue_now(),
                received_at=self._session.now(),
            )

        return await self._session.call(MarketType.SPOT, read)

    async def _open_orders(self, client: Any, market_type: MarketType) -> list[Order]:
        return await self._spot.open_orders(client)

    async def fetch_positions(self) -> tuple[Position, ...]:
        return ()

    async def fetch_order(
        self,
        symbol: Symbol,
        *,
        exchange_order_id: ExchangeOrderId | None = None,
        client_order_id: ClientOrderId | None = None,
    ) -> Order:
        if exchange_order_id is None and client_order_id is None:
            raise InvalidInput("an order is asked for by one of its ids", field="order_id")
        return await self._session.call(
            MarketType.SPOT,
            lambda client: self._spot.fetch(client, symbol, exchange_order_id, client_order_id),
        )

    async def fetch_fills(self, cursor: FillCursor) -> FillPage:
        symbol, first_id = cursor.symbol, cursor.position
        if symbol is None or not first_id.isdecimal():
            raise InvalidInput("not a Binance fill cursor", field="cursor")
        raw = await self._session.call(
            MarketType.SPOT,
            lambda client: client.fetch_my_trades(
                symbol, None, FILLS_PER_PAGE, {"fromId": int(first_id)}
            ),
            list_is_good=True,
        )
        fills = parse.unique_fills(self.fill_of(one) for one in raw)
        next_id = max((int(one.trade_id) for one in fills), default=int(first_id) - 1) + 1
        return FillPage(
            fills=fills,
            next_cursor=FillCursor(symbol, str(next_id)),
            is_last=len(raw) < FILLS_PER_PAGE,
        )

    def first_fill_cursors(
        self, symbols: Sequence[Symbol], since: datetime
    ) -> tuple[FillCursor, ...]:
        # From the account's first trade of each symbol on: no id is known of a moment.
        return tuple(FillCursor(symbol, "0") for symbol in symbols)

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
        client = await self._session.pro_client(MarketType.SPOT, private.Taking)
        await private.watch(
            client,
            BinancePrivate(client, self.account_id, self._session.now),
            sink,
            on_connected=on_connected,
        )
