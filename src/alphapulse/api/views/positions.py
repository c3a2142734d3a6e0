"""Views of positions: one line per asset and wallet, one per open contract."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from alphapulse.api.schemas.base import Meta, PriceView
from alphapulse.api.schemas.portfolio import (
    DerivativeView,
    PositionPage,
    PositionsQuery,
    PositionType,
    PositionView,
)
from alphapulse.api.views import basis as basis_views
from alphapulse.api.views import day_change
from alphapulse.api.views.meta import grown_old, meta_of, warned
from alphapulse.domain.account import Account
from alphapulse.domain.balance import Wallet
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.portfolio import HoldingValue, PositionValue
from alphapulse.domain.position import Position
from alphapulse.domain.sync import SyncKind
from alphapulse.domain.valuation import CONVERTED, PriceBook, Quality, parts
from alphapulse.errors import InvalidInput
from alphapulse.services.basis import Basis
from alphapulse.services.facts import FactsService
from alphapulse.services.live_state import LiveState
from alphapulse.services.openings import Openings
from alphapulse.services.portfolio import AccountHealth, Snapshot

_TYPES: dict[Wallet, PositionType] = {Wallet.MARGIN: "margin", Wallet.EARN: "earn"}
_HUNDRED = Decimal(100)
_LAST = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class Line:
    """A position before it is put into words: what it is, and what to compare it by.

    ``as_of`` is when it was last known to be so: what has not changed for weeks was still read
    again a moment ago.
    """

    id: str
    account: Account
    value: HoldingValue | PositionValue
    as_of: datetime
    last_trade_at: datetime | None
    opened_at: datetime | None = None
    """Of a contract; since when an asset is held follows from its lots."""
    ticker: Ticker | None = None
    reduce_only_orders: int = 0


def lines_of(
    snapshot: Snapshot,
    live: LiveState,
    openings: Openings | None = None,
    *,
    include_zero: bool = False,
) -> list[Line]:
    """Every position of a snapshot."""
    accounts = {account.id: account for account in snapshot.accounts}
    lines = []
    for held in snapshot.valuation.holdings:
        balance = held.holding.balance
        if include_zero or not balance.is_empty:
            account = accounts[held.holding.account_id]
            name = f"{account.id}.{balance.wallet}.{balance.asset}"
            as_of = _known_at(live, account, SyncKind.BALANCES, held.holding.occurred_at)
            traded_at = live.last_trades.get((account.id, balance.asset))
            lines.append(Line(name, account, held, as_of, traded_at))
    for opened in snapshot.valuation.positions:
        position = opened.position
        account = accounts[position.account_id]
        ticker = live.tickers.get(position.symbol, {}).get(position.exchange)
        name = f"{account.id}.{dashed(position.symbol)}.{position.side}"
        as_of = _known_at(live, account, SyncKind.POSITIONS, position.occurred_at)
        traded_at = live.last_trades.get((account.id, position.symbol))
        reducing = _reduce_only_orders(live, position)
        opened_at = None if openings is None else openings.of(position)
        lines.append(Line(name, account, opened, as_of, traded_at, opened_at, ticker, reducing))
    return lines


def _reduce_only_orders(live: LiveState, position: Position) -> int:
    orders = live.open_orders.get(position.account_id, {}).values()
    return sum(order.reduce_only and order.symbol == position.symbol for order in orders)


def _known_at(live: LiveState, account: Account, kind: SyncKind, changed_at: datetime) -> datetime:
    status = live.status(account.exchange, account.id, kind)
    read_at = None if status is None else status.last_ok_at
    return changed_at if read_at is None else max(changed_at, read_at)


def view_of(line: Line, snapshot: Snapshot, basis: Basis | None, book: PriceBook) -> PositionView:
    """A line in words, with its ages as of the snapshot, what it cost as far as that is counted,
    and what a day did to it."""
    valuation, value = snapshot.valuation, line.value
    if isinstance(value, HoldingValue):
        change = day_change.of_holding(value, book, valuation)
        more = basis_views.of_holding(value, basis)
        return holding_view(line, value, snapshot).model_copy(update=more | {"change_24h": change})
    change = day_change.of_contract(value, line.ticker, book, valuation)
    more = basis_views.of_contract(value, basis)
    return _contract(line, value, snapshot).model_copy(update=more | {"change_24h": change})


def page_of(
    snapshot: Snapshot,
    live: LiveState,
    facts: FactsService,
    basis: Basis | None,
    query: PositionsQuery,
    request_id: str,
) -> PositionPage:
    """The positions that ``query`` asks for."""
    lines = lines_of(snapshot, live, facts.openings, include_zero=query.include_zero)
    views = [view_of(line, snapshot, basis, live.book) for line in lines]
    unknown = (view.symbol or view.asset or "" for view in views if view.change_24h is None)
    meta = day_change.naming_unknown(meta_of(snapshot, request_id), unknown)
    if basis is None:
        meta = warned(meta, basis_views.NOT_COUNTED_LINES)
    if facts.is_stale and snapshot.valuation.positions:
        meta = grown_old(meta, facts.as_of, "opened_at")
    return paged(views, query, meta)


def paged(views: list[PositionView], query: PositionsQuery, meta: Meta) -> PositionPage:
    """Of these positions what ``query`` asks for, grouped and sorted as it says."""
    if query.group_by != "none":
        views = _grouped(views, by_account=query.group_by == "account")
    views = [view for view in views if _is_wanted(view, query)]
    items, next_cursor = _cut(views, query)
    return PositionPage(meta=meta, items=items, next_cursor=next_cursor)


def dashed(symbol: Symbol) -> str:
    """A symbol as a part of an id, which may stand in a path."""
    return symbol.replace("/", "-").replace(":", "-")


def holding_view(line: Line, held: HoldingValue, snapshot: Snapshot) -> PositionView:
    """One asset in one wallet, without what it cost."""
    balance, price, valuation = held.holding.balance, held.price, snapshot.valuation
    return PositionView(
        id=line.id,
        account_id=line.account.id,
        exchange=line.account.exchange,
        wallet=balance.wallet.value,
        type=_TYPES.get(balance.wallet, "spot"),
        asset=balance.asset,
        symbol=None,
        side=None,
        quantity=balance.total,
        available=balance.free,
        locked=balance.locked,
        debt=balance.borrowed,
        price=None if price is None else PriceView.of(price, valuation.as_of),
        value=held.value,
        weight=valuation.weight(held.value),
        last_trade_at=line.last_trade_at,
        as_of=line.as_of,
        stale=_is_stale(line, snapshot),
    )


def _contract(line: Line, opened: PositionValue, snapshot: Snapshot) -> DerivativeView:
    position, price, valuation = opened.position, opened.price, snapshot.valuation
    base, _ = parts(position.symbol)
    entry_notional = EXACT.multiply(
        position.entry_price, EXACT.multiply(position.quantity, position.contract_size)
    )
    liquidation, mark = position.liquidation_price, opened.mark_price
    return DerivativeView(
        id=line.id,
        account_id=line.account.id,
        exchange=line.account.exchange,
        wallet=None,
        type="perp" if "-" not in position.symbol.partition(":")[2] else "future",
        asset=base,
        symbol=position.symbol,
        side=position.side.value,
        quantity=position.quantity,
        available=None,
        locked=None,
        debt=ZERO,
        price=None if price is None else PriceView.of(price, valuation.as_of),
        value=opened.value,
        weight=valuation.weight(opened.value),
        average_entry=position.entry_price,
        realized_pnl=position.realized_pnl,
        unrealized_pnl=opened.unrealized_pnl,
        unrealized_pnl_pct=_percent(opened.unrealized_pnl, entry_notional),
        opened_at=line.opened_at,
        last_trade_at=line.last_trade_at,
        as_of=line.as_of,
        stale=_is_stale(line, snapshot),
        contracts=position.quantity,
        contract_size=position.contract_size,
        notional=opened.notional,
        mark_price=mark,
        leverage=position.leverage,
        margin_mode=None if position.margin_mode is None else position.margin_mode.value,
        initial_margin=position.initial_margin,
        maintenance_margin=position.maintenance_margin,
        liquidation_price=liquidation,
        liquidation_distance_pct=_distance(mark, liquidation),
        funding_rate=None if line.ticker is None else line.ticker.funding_rate,
        next_funding_at=None if line.ticker is None else line.ticker.next_funding_at,
        reduce_only_orders=line.reduce_only_orders,
    )


def _is_stale(line: Line, snapshot: Snapshot) -> bool:
    price = line.value.price
    return snapshot.health[line.account.id] is not AccountHealth.OK or (
        price is not None and price.quality is Quality.STALE
    )


def _percent(part: Decimal | None, whole: Decimal) -> Decimal | None:
    if part is None or whole == 0:
        return None
    return CONVERTED.multiply(CONVERTED.divide(part, whole), _HUNDRED)


def _distance(mark: Decimal | None, liquidation: Decimal | None) -> Decimal | None:
    if mark is None or liquidation is None:
        return None
    return _percent(abs(EXACT.subtract(mark, liquidation)), mark)


def _is_wanted(view: PositionView, query: PositionsQuery) -> bool:
    wanted = {"exchange": query.exchange, "asset": query.asset, "type": query.type}
    if any(value is not None and getattr(view, name) != value for name, value in wanted.items()):
        return False
    return query.min_value is None or view.value is None or abs(view.value) >= query.min_value


def _grouped(views: list[PositionView], *, by_account: bool) -> list[PositionView]:
    """One line per asset or account. Contracts of one market and side are one asset here."""
    groups: dict[str, list[PositionView]] = {}
    for view in views:
        key = view.account_id if by_account else _asset_key(view)
        groups.setdefault(key or "", []).append(view)
    return [_group(key, members, by_account=by_account) for key, members in groups.items()]


def _asset_key(view: PositionView) -> str:
    if view.symbol is not None:
        return f"{dashed(Symbol(view.symbol))}.{view.side}"
    return view.asset or ""


def _group(key: str, members: list[PositionView], *, by_account: bool) -> PositionView:
    if by_account:
        kept = {"account_id", "exchange"}
        summed = {"value", "weight", "cost_basis", "fees_paid", "funding_paid"}
    else:
        kept = {"account_id", "exchange", "wallet", "type", "asset", "symbol", "side", "price"}
        summed = {"quantity", "available", "locked", "debt", "value", "weight"}
        summed |= {"missing_quantity", "fees_paid", "funding_paid"}
    fields = dict.fromkeys(PositionView.model_fields)
    return PositionView.model_validate(
        fields
        | {name: _shared(members, name) for name in kept}
        | {name: _summed(members, name) for name in summed}
        | {
            "id": f"{'account' if by_account else 'asset'}.{key}",
            "as_of": min(member.as_of for member in members),
            "stale": any(member.stale for member in members),
        }
        | ({} if by_account else _since(members))
        | ({} if by_account else basis_views.of_group(members))
    )


def _shared(members: list[PositionView], name: str) -> object:
    """What all members agree on; a mixture is null."""
    values = [getattr(member, name) for member in members]
    return values[0] if all(value == values[0] for value in values) else None


def _summed(members: list[PositionView], name: str) -> Decimal | None:
    """The sum of what is known: what is not is listed as unpriced. Null when nothing is."""
    known = [value for member in members if (value := getattr(member, name)) is not None]
    return total(known) if known else None


def _since(members: list[PositionView]) -> dict[str, object]:
    """When the first of them was opened, null where one of them may have been earlier, and what a
    day did to them."""
    known = [member.opened_at for member in members if member.opened_at is not None]
    opened_at = min(known) if len(known) == len(members) else None
    return {"opened_at": opened_at, "change_24h": day_change.of_group(members)}


def _cut(views: list[PositionView], query: PositionsQuery) -> tuple[list[PositionView], str | None]:
    """One page of the sorted list. Sorted by value, a line may move between pages meanwhile."""
    ordered = sorted(views, key=lambda view: _place(view, query))
    if query.cursor is not None:
        after = _decode(query.cursor)
        ordered = [view for view in ordered if _place(view, query) > after]
    page = ordered[: query.limit]
    if len(page) == len(ordered):
        return page, None
    return page, _encode(_place(page[-1], query))


def _place(view: PositionView, query: PositionsQuery) -> tuple[Decimal, str]:
    by = query.sort.removeprefix("-")
    if by == "id":
        return ZERO, view.id
    told = view.value or ZERO if by == "value" else _percent_of_day(view)
    if told is None:
        return _LAST, view.id
    return -told if query.sort.startswith("-") else told, view.id


def _percent_of_day(view: PositionView) -> Decimal | None:
    return None if view.change_24h is None else view.change_24h.pct


def _encode(place: tuple[Decimal, str]) -> str:
    return base64.urlsafe_b64encode(f"{place[0]} {place[1]}".encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[Decimal, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        value, _, line_id = text.partition(" ")
        return Decimal(value), line_id
    except (binascii.Error, ArithmeticError, ValueError) as error:
        raise InvalidInput("not a cursor of ours", field="cursor") from error
