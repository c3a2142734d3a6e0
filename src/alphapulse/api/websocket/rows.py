"""Rows: what each channel sends, out of the live state."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial

from pydantic import BaseModel

from alphapulse.api.schemas.market import CandleRow
from alphapulse.api.schemas.portfolio import PortfolioRow
from alphapulse.api.views import positions
from alphapulse.api.views.basis import with_basis
from alphapulse.api.views.exchange import account_view
from alphapulse.api.views.market import price_id, price_line
from alphapulse.api.views.orders import order_view, trade_view
from alphapulse.api.views.portfolio import summary_of
from alphapulse.api.views.positions import Line
from alphapulse.api.views.rebalance import progress_of
from alphapulse.api.websocket.channels import Channel, ChannelKind
from alphapulse.api.websocket.topics import Row
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.market import Candle, Ticker
from alphapulse.domain.order import Fill, Order
from alphapulse.domain.valuation import PriceBook
from alphapulse.errors import NotReady
from alphapulse.services.basis import Basis
from alphapulse.services.business_logic import Services
from alphapulse.services.facts import NO_FACTS
from alphapulse.services.live_state import Changes
from alphapulse.services.orders import id_of
from alphapulse.services.portfolio import Snapshot
from alphapulse.services.viewer import Viewer


class LiveRows:
    """The rows of every channel, as a viewer may see them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def current(self, channel: Channel, viewer: Viewer) -> Iterable[Row]:
        """Every row there is now; none before anything was read."""
        try:
            yield from self._rows(channel, viewer)
        except NotReady:
            return

    def changed(self, kind: ChannelKind, changes: Changes, viewer: Viewer) -> list[bytes]:
        """The orders that changed, or the new fills, as they came."""

        def is_seen(one: Order | Fill) -> bool:
            account = self._services.live.accounts.get(one.account_id)
            return account is not None and viewer.may_see(account)

        if kind is ChannelKind.FILLS:
            return [_encode(trade_view(fill)) for fill in changes.fills if is_seen(fill)]
        return [_encode(order_view(order)) for order in changes.orders if is_seen(order)]

    def _rows(self, channel: Channel, viewer: Viewer) -> Iterable[Row]:
        match channel.kind:
            case ChannelKind.TICKERS | ChannelKind.TICKER:
                return self._tickers(channel.symbol)
            case ChannelKind.CANDLES:
                return self._candles(channel)
            case _:
                return self._of_viewer(channel.kind, viewer)

    def _of_viewer(self, kind: ChannelKind, viewer: Viewer) -> Iterable[Row]:
        match kind:
            case ChannelKind.PORTFOLIO:
                return self._portfolio(viewer)
            case ChannelKind.POSITIONS:
                return self._positions(viewer)
            case ChannelKind.ORDERS:
                return self._live_orders(viewer)
            case ChannelKind.ACCOUNTS:
                return self._accounts(viewer)
            case ChannelKind.REBALANCE:
                return self._rebalances(viewer)
            case _:
                return ()  # fills only ever come

    def _tickers(self, symbol: Symbol | None) -> Iterator[Row]:
        live, now = self._services.live, self._services.clock.now()
        tickers = live.markets() if symbol is None else live.tickers.get(symbol, {}).values()
        for ticker in tickers:
            yield Row(
                price_id(ticker),
                ticker,
                partial(self._encode_ticker, ticker, now),
            )

    def _encode_ticker(self, ticker: Ticker, now: datetime) -> bytes:
        return _encode(price_line(self._services.market.quote(ticker), now))

    def _candles(self, channel: Channel) -> Iterator[Row]:
        for (exchange, symbol, timeframe), candle in self._services.live.candles.items():
            if symbol == channel.symbol and timeframe is channel.timeframe:
                yield Row(exchange, candle, partial(_encode_candle, candle))

    def _portfolio(self, viewer: Viewer) -> Iterator[Row]:
        services = self._services
        snapshot = services.portfolio.snapshot(viewer, is_newest=True)
        valuation = snapshot.valuation
        state = (
            valuation.total,
            valuation.holdings,
            valuation.positions,
            snapshot.health,
            services.live.basis_revision,
        )
        yield Row(
            "portfolio",
            state,
            partial(_encode_summary, snapshot, services),
        )

    def _positions(self, viewer: Viewer) -> Iterator[Row]:
        services = self._services
        snapshot = services.portfolio.snapshot(viewer, is_newest=True)
        basis, revision = services.basis.of(snapshot), services.live.basis_revision
        for line in positions.lines_of(snapshot, services.live, services.facts.openings):
            weight = snapshot.valuation.weight(line.value.value)
            yield Row(
                line.id,
                (line, weight, snapshot.health[line.account.id], revision),
                partial(_encode_line, line, snapshot, basis, services.live.book),
            )

    def _live_orders(self, viewer: Viewer) -> Iterator[Row]:
        """All that have not ended."""
        live = self._services.live
        for account in self._services.portfolio.accounts(viewer):
            for orders in (live.open_orders, live.unsettled):
                for order in orders.get(account.id, {}).values():
                    yield Row(id_of(order), order, partial(_encode_order, order))

    def _accounts(self, viewer: Viewer) -> Iterator[Row]:
        service = self._services.portfolio
        for account in service.accounts(viewer):
            view = account_view(account, service)
            yield Row(account.id, view, partial(_encode, view))

    def _rebalances(self, viewer: Viewer) -> Iterator[Row]:
        for record in self._services.live.runs.values():
            if viewer.owner_id in {None, record.user_id}:
                for row in progress_of(record):
                    yield Row(row.id, row, partial(_encode, row))


def _encode_order(order: Order) -> bytes:
    return _encode(order_view(order))


def _encode_summary(snapshot: Snapshot, services: Services) -> bytes:
    summary = summary_of(snapshot, services.portfolio, services.live, NO_FACTS, "")
    return _encode(PortfolioRow.of(with_basis(summary, services.basis.of(snapshot))))


def _encode_line(line: Line, snapshot: Snapshot, basis: Basis | None, book: PriceBook) -> bytes:
    return _encode(positions.view_of(line, snapshot, basis, book))


def _encode_candle(candle: Candle) -> bytes:
    return _encode(candle_row(candle))


def candle_row(candle: Candle) -> CandleRow:
    """A candle in words."""
    return CandleRow(
        id=candle.exchange,
        t=int(candle.open_time.timestamp() * 1000),
        o=candle.open,
        h=candle.high,
        l=candle.low,
        c=candle.close,
        v=candle.volume,
        closed=candle.is_closed,
    )


def _encode(view: BaseModel) -> bytes:
    return view.__pydantic_serializer__.to_json(view, by_alias=True)
