"""State: everything that the accounts of the simulated venues are, as one value.

Prices are no part of it: a market begins anew at each start, and the accounts go on in it.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

import msgspec

from alphapulse.simulator.core.account import Account, ApiKey, FeeRates, Wallet
from alphapulse.simulator.core.events import FundingCharged
from alphapulse.simulator.core.exchange import Numbers, Venue
from alphapulse.simulator.core.instrument import Category, Instrument, atoms_of
from alphapulse.simulator.core.ledger import LedgerEntry
from alphapulse.simulator.core.order import Fill, Order
from alphapulse.simulator.core.position import Position
from alphapulse.simulator.core.treasury import Crossing
from alphapulse.simulator.far_past import Span, Walk
from alphapulse.simulator.packing import packed, unpacked
from alphapulse.simulator.world import SimulatedAccount, World

VERSION = 1

T = TypeVar("T")
Row = dict[str, object]


class SavedAccount(msgspec.Struct, kw_only=True):
    """One account: its books, its orders and its key. Rows are as `packing` makes them."""

    id: str
    label: str
    uid: int
    api_key: Row
    fees: dict[Category, FeeRates]
    fee_asset: str | None
    can_trade: bool
    is_hedged: bool
    leverage: dict[str, Decimal]
    isolated: list[str]
    client_ids: dict[str, int]
    wallet: dict[str, tuple[Decimal, Decimal]]
    """Free and locked, by asset."""
    futures_wallet: dict[str, tuple[Decimal, Decimal]] | None
    positions: list[Row]
    orders: list[msgspec.Raw]
    """Final ones in the order in which they ended, then the open ones."""
    fills: list[msgspec.Raw]
    funding: list[Row]
    ledger: list[Row]
    crossings: list[Row] = []
    """Deposits and withdrawals, also those under way."""


class SavedVenue(msgspec.Struct, kw_only=True):
    """What the venue itself keeps: its own side of everything, and where its numbers are."""

    house: dict[str, tuple[Decimal, Decimal]]
    house_positions: list[Row]
    fees: dict[str, tuple[Decimal, Decimal]]
    numbers: Numbers
    grids: dict[str, tuple[Decimal, Decimal]]
    """Tick and lot of every market, in which the rows count."""
    accounts: list[SavedAccount]


class SavedState(msgspec.Struct, kw_only=True):
    version: int
    venues: dict[str, SavedVenue]
    walk: Span | None = None
    """The prices of the accounts' history; no file of before it had them."""


class Photographer:
    """Takes the state of a world. What cannot change any more is encoded once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._final: dict[tuple[str, str, int, int], msgspec.Raw] = {}

    def take(self) -> SavedState:
        """As it is now."""
        venues = {name: self._venue(venue) for name, venue in self._world.venues.items()}
        walk = self._world.walk
        span = None if walk is None else walk.span
        return SavedState(version=VERSION, venues=venues, walk=span)

    def _venue(self, venue: Venue) -> SavedVenue:
        known = {account.label for account in self._world.accounts if account.venue == venue.name}
        return SavedVenue(
            house=_holdings(venue.house.wallet),
            house_positions=[_row(p) for p in venue.house.positions.values()],
            fees=_holdings(venue.fees),
            numbers=venue.numbers,
            grids=grids(venue),
            accounts=[self._account(venue, a) for a in venue.accounts.values() if a.id in known],
        )

    def _account(self, venue: Venue, account: Account) -> SavedAccount:
        orders = [self._order(venue, order) for order in account.final_orders]
        orders += [_encoded(_row(order, "fills")) for order in account.open_orders.values()]
        wallet = account.futures_wallet
        return SavedAccount(
            id=account.id,
            label=account.label,
            uid=account.uid,
            api_key=packed(self._key(venue, account)),
            fees=account.fees,
            fee_asset=account.fee_asset,
            can_trade=account.can_trade,
            is_hedged=account.is_hedged,
            leverage=account.leverage,
            isolated=sorted(account.isolated),
            client_ids=account.client_ids,
            wallet=_holdings(account.wallet),
            futures_wallet=None if wallet is None else _holdings(wallet),
            positions=[_row(position) for position in account.positions.values()],
            orders=orders,
            fills=[self._fill(venue, fill) for fill in account.fills],
            funding=[_row(charge) for charge in venue.funding_charges(account)],
            ledger=[_row(entry) for entry in venue.ledger.all_entries(account.id)],
            crossings=[packed(one) for one in venue.treasury.crossings(account.id)],
        )

    def _key(self, venue: Venue, account: Account) -> ApiKey:
        """A revoked key is kept, too: nobody may do anything with it."""
        name = next(a.api_key for a in self._world.accounts if a.label == account.id)
        return venue.key(name) or ApiKey(name, "", account.id, can_read=False, can_trade=False)

    def _order(self, venue: Venue, order: Order) -> msgspec.Raw:
        key = (venue.name, "order", order.id, 0)
        if key not in self._final:
            self._final[key] = _encoded(_row(order, "fills"))
        return self._final[key]

    def _fill(self, venue: Venue, fill: Fill) -> msgspec.Raw:
        key = (venue.name, "fill", fill.trade_id, fill.order_id)
        if key not in self._final:
            self._final[key] = _encoded(_row(fill))
        return self._final[key]


def restore(world: World, state: SavedState) -> None:
    """Put the accounts back into a world that has none of them yet, and no prices.

    Raises:
        ValueError: the state does not fit the venues.
        msgspec.ValidationError: a row is of something else.
    """
    world.walk = None if state.walk is None else Walk(state.walk)
    for name, saved in state.venues.items():
        venue = world.venues.get(name)
        if venue is None:
            raise ValueError(f"there is no venue {name}")
        here = grids(venue)
        moved = [symbol for symbol, grid in saved.grids.items() if here.get(symbol) != grid]
        if moved:
            raise ValueError(f"{name} counts {', '.join(sorted(moved))} in other ticks and lots")
        _fill_wallet(venue.house.wallet, saved.house)
        _fill_wallet(venue.fees, saved.fees)
        venue.house.positions.update(_positions(venue, saved.house_positions))
        venue.resume(saved.numbers)
        for account in saved.accounts:
            _restore_account(world, venue, account)


def grids(venue: Venue) -> dict[str, tuple[Decimal, Decimal]]:
    """Tick and lot of every market."""
    instruments = [market.instrument for market in venue.markets.values()]
    return {_name(i): (i.tick_size, i.lot_size) for i in instruments}


def _restore_account(world: World, venue: Venue, saved: SavedAccount) -> None:
    account = Account(
        id=saved.id,
        label=saved.label,
        uid=saved.uid,
        fees=saved.fees,
        fee_asset=saved.fee_asset,
        can_trade=saved.can_trade,
        is_hedged=saved.is_hedged,
        leverage=saved.leverage,
        isolated=set(saved.isolated),
        futures_wallet=None if saved.futures_wallet is None else Wallet(),
    )
    _fill_wallet(account.wallet, saved.wallet)
    if account.futures_wallet is not None and saved.futures_wallet is not None:
        _fill_wallet(account.futures_wallet, saved.futures_wallet)
    account.positions.update(_positions(venue, saved.positions))
    for raw in saved.orders:
        order = _thing(Order, _decoded(raw), venue)
        account.enter(order)
        if not order.state.is_open:
            account.archive(order)
    for raw in saved.fills:
        fill = _thing(Fill, _decoded(raw), venue)
        account.fills.append(fill)
        if fill.order_id in account.orders_by_id:
            account.orders_by_id[fill.order_id].fills.append(fill)
    account.client_ids.update(saved.client_ids)
    venue.adopt(account, [_thing(FundingCharged, row, venue) for row in saved.funding])
    venue.ledger.resume(account.id, [_ledger_entry(row, venue) for row in saved.ledger])
    venue.treasury.resume(account.id, [unpacked(Crossing, row) for row in saved.crossings])
    key = unpacked(ApiKey, saved.api_key)
    world.add(SimulatedAccount(venue.name, account.label, key.key, key.secret), key)


def _holdings(wallet: Wallet) -> dict[str, tuple[Decimal, Decimal]]:
    return {asset: (wallet.free(asset), wallet.locked(asset)) for asset in wallet.assets}


def _fill_wallet(wallet: Wallet, holdings: Mapping[str, tuple[Decimal, Decimal]]) -> None:
    for asset, (free, locked) in holdings.items():
        wallet[asset].free, wallet[asset].locked = atoms_of(free), atoms_of(locked)


def _positions(venue: Venue, rows: list[Row]) -> dict[str, Position]:
    positions = [_thing(Position, row, venue) for row in rows]
    return {position.key: position for position in positions}


def _name(instrument: Instrument) -> str:
    return f"{instrument.category} {instrument.name}"


def _row(thing: Order | Fill | Position | FundingCharged | LedgerEntry, *without: str) -> Row:
    """With the name of the instrument in its place."""
    row = packed(thing, without=("instrument", *without))
    instrument = thing.instrument
    return row if instrument is None else {"market": _name(instrument), **row}


def _thing(kind: type[T], row: Row, venue: Venue) -> T:
    fields = {name: value for name, value in row.items() if name != "market"}
    category, _, name = str(row.get("market")).partition(" ")
    instrument = venue.market(Category(category), name).instrument
    return unpacked(kind, fields, instrument=instrument)


def _ledger_entry(row: Row, venue: Venue) -> LedgerEntry:
    return _thing(LedgerEntry, row, venue) if "market" in row else unpacked(LedgerEntry, row)


def _encoded(row: Row) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(row))


def _decoded(raw: msgspec.Raw) -> Row:
    return msgspec.json.decode(raw, type=dict[str, object])
