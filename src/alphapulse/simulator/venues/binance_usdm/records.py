"""Records: an account's trades, and everything that moved its futures wallet."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.candles import DAY_MS
from alphapulse.simulator.core.events import Cause
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.ledger import LedgerEntry
from alphapulse.simulator.core.order import Fill
from alphapulse.simulator.venues.binance.codes import bad_combination
from alphapulse.simulator.venues.binance.market_rows import Row, text
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.routes import Caller, Private, Window
from alphapulse.simulator.venues.binance.transfers import transfer_id
from alphapulse.simulator.venues.binance_usdm import rows
from alphapulse.simulator.venues.binance_usdm.market import MarketRoutes
from alphapulse.simulator.venues.binance_usdm.orders import week

INCOME_PAGE = 100
INCOME_KEPT_MS = 90 * DAY_MS
INCOME_USUAL_MS = 7 * DAY_MS

_TYPES = {
    Cause.FUNDING: "FUNDING_FEE",
    Cause.REWARD: "WELCOME_BONUS",
    Cause.LIQUIDATION: "INSURANCE_CLEAR",
    Cause.INSURANCE: "INSURANCE_CLEAR",
}


@dataclass(frozen=True, slots=True)
class Income:
    """One thing that moved the wallet. ``trade_id`` is empty where no trade did."""

    at_ms: int
    kind: str
    symbol: str
    asset: str
    amount: Decimal
    tran_id: int
    trade_id: str = ""

    @property
    def row(self) -> Row:
        return {
            "symbol": self.symbol,
            "incomeType": self.kind,
            "income": text(self.amount),
            "asset": self.asset,
            "info": self.trade_id or self.kind,
            "time": self.at_ms,
            "tranId": self.tran_id,
            "tradeId": self.trade_id,
        }


class RecordRoutes:
    """What happened to one account, to be read page by page."""

    def __init__(self, venue: Venue, markets: MarketRoutes) -> None:
        self._venue = venue
        self._market = markets.market

    @property
    def reads(self) -> dict[tuple[str, str], Private]:
        """By method and path."""
        return {
            ("GET", "/fapi/v1/userTrades"): self._trades,
            ("GET", "/fapi/v1/income"): self._income,
        }

    def _trades(self, params: Params, caller: Caller) -> list[Row]:
        market = self._market(params.symbol())
        order_id, window = params.integer("orderId"), Window.of(params)
        is_timed = window.start_ms is not None or window.end_ms is not None
        if is_timed and window.from_id is not None:
            raise bad_combination()
        fills = (
            fill
            for fill in self._venue.sight.fills(caller.account)
            if fill.instrument is market.instrument and order_id in (None, fill.order_id)
        )
        picked = week(window).pick(fills, lambda f: f.trade_id, lambda f: f.at_ms)
        return [rows.fill(fill) for fill in picked]

    def _income(self, params: Params, caller: Caller) -> list[Row]:
        """Oldest first; ``page`` counts from 1."""
        window, limit = Window.of(params), params.limit(INCOME_PAGE, 1_000)
        symbol, kind = params.optional("symbol"), params.optional("incomeType")
        start_ms, end_ms = self._told_since_ms(window), window.end_ms or 1 << 62
        known = [
            one
            for one in self._all(caller.account)
            if start_ms <= one.at_ms <= end_ms
            and symbol in (None, one.symbol)
            and kind in (None, one.kind)
        ]
        skipped = ((params.integer("page") or 1) - 1) * limit
        is_latest = window.start_ms is None and not params.has("page")
        picked = known[-limit:] if is_latest else known[skipped : skipped + limit]
        return [one.row for one in picked]

    def _told_since_ms(self, window: Window) -> int:
        """The venue keeps three months, and shows a week of them to who names no time."""
        now_ms = self._venue.clock.now_ms()
        if window.start_ms is None and window.end_ms is None:
            return now_ms - INCOME_USUAL_MS
        return max(window.start_ms or 0, now_ms - INCOME_KEPT_MS)

    def _all(self, account: Account) -> list[Income]:
        entries = self._venue.ledger.entries(account.id, Category.LINEAR)
        found = [*map(_of_entry, entries), *_of_fills(account.fills)]
        return sorted(found, key=lambda one: (one.at_ms, one.tran_id))


def _of_entry(entry: LedgerEntry) -> Income:
    return Income(
        at_ms=entry.at_ms,
        kind=_TYPES.get(entry.cause, "TRANSFER"),
        symbol=entry.instrument.name if entry.instrument else "",
        asset=entry.asset,
        amount=entry.amount,
        tran_id=(
            9_000_000_000 + entry.id
            if entry.cause is not Cause.TRANSFER or entry.movement is None
            else transfer_id(entry.movement.reference)
        ),
    )


def _of_fills(fills: Iterable[Fill]) -> list[Income]:
    """A trade costs its commission, and one that closes brings a profit or a loss."""
    found = []
    for fill in fills:
        if fill.instrument.category is not Category.LINEAR:
            continue
        amounts = {"COMMISSION": -fill.fee}
        if fill.closed_lots:
            amounts["REALIZED_PNL"] = fill.realized_pnl
        for number, (kind, amount) in enumerate(amounts.items()):
            found.append(
                Income(
                    at_ms=fill.at_ms,
                    kind=kind,
                    symbol=fill.instrument.name,
                    asset=fill.fee_asset,
                    amount=amount,
                    tran_id=fill.trade_id * 10 + number,
                    trade_id=str(fill.trade_id),
                )
            )
    return found
