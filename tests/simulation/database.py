"""A database in memory with the repositories of production over it.

What a repository *decides* is production's own code, inherited; only the statements it would run
are replaced. ``test_database.py`` runs the contract cards of the SQL repositories on it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, cast

from alphapulse.database.connection import Database
from alphapulse.database.repositories import fills as fill_rows
from alphapulse.database.repositories import orders as order_rows
from alphapulse.database.repositories.balances import StoredBalance
from alphapulse.database.repositories.fills import FillCursors, Fills, StoredCursor
from alphapulse.database.repositories.idempotency import StoredRequest
from alphapulse.database.repositories.ledger import Key, KnownEntry, Ledger, Sums
from alphapulse.database.repositories.orders import OrderChange, OrderEvent, Orders
from alphapulse.database.repositories.trading import Leases, Switches
from alphapulse.domain.balance import BalanceReport
from alphapulse.domain.funds import Hold, left_of
from alphapulse.domain.identifiers import AccountId, ClientOrderId, ExchangeId, Symbol, UserId
from alphapulse.domain.intent import Intent
from alphapulse.domain.ledger import Entry, RecordedEntry, Subject, Sum
from alphapulse.domain.money import ZERO, total
from alphapulse.domain.order import Fill, Order, OrderStatus
from alphapulse.domain.position import Position
from alphapulse.domain.sync import FillCursor
from alphapulse.domain.trading import AssetBook, CycleReport, Lease, TradingLimits, TradingSwitch
from alphapulse.errors import Conflict, NotFound
from tests.simulation.disk import Disk, Transaction


class _Written:
    """Stands in for `Statements`: takes the rows that inherited code writes."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def insert(self, table: Any, rows: Sequence[Any]) -> None:
        raise AssertionError(f"not simulated: insert into {table.name}")

    async def upsert(self, table: Any, rows: Sequence[dict[str, Any]], **_: object) -> None:
        if rows:
            _TAKE[table.name](self._transaction, rows)


def _take_fills(transaction: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    mine = transaction.own("fills")
    for row in rows:
        fill = Fill(**row)
        key = (fill.account_id, fill.symbol, fill.trade_id)
        row_id = mine[key][0] if key in mine else transaction.next_id()
        mine[key] = (row_id, fill)


def _take_cursors(transaction: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    mine = transaction.own("cursors")
    for row in rows:
        cursor = FillCursor(row["symbol"] or None, row["position"])
        mine[row["account_id"], row["symbol"]] = StoredCursor(cursor, row["is_complete"])


def _take_leases(transaction: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        transaction.own("leases")[row["account_id"]] = Lease(**row)


def _take_switches(transaction: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        values = {**row, "account_id": row["subject"] or None}
        del values["subject"]
        transaction.own("switches")[row["subject"]] = TradingSwitch(**values)


_TAKE = {
    "fills": _take_fills,
    "fill_cursors": _take_cursors,
    "sender_leases": _take_leases,
    "trading_switches": _take_switches,
}


class MemoryOrders(Orders):
    """Rows: id -> Order."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def load(self, account_id: AccountId, key: str) -> Order:
        for order in self._all():
            if order.account_id == account_id and order.key == key:
                return order
        raise NotFound("no such order", order=key)

    async def open(self, account_id: AccountId) -> tuple[Order, ...]:
        return self._mine(o for o in self._all() if o.account_id == account_id and o.status.is_open)

    async def external_in_doubt(self, account_id: AccountId) -> tuple[Order, ...]:
        return self._mine(
            o
            for o in self._all()
            if o.account_id == account_id and not o.is_ours and o.status.is_uncertain
        )

    async def unsettled(self, account_id: AccountId) -> tuple[Order, ...]:
        return self._mine(
            o
            for o in self._all()
            if o.account_id == account_id and o.is_ours and not o.status.is_final
        )

    async def ours_since(
        self, account_id: AccountId, symbol: Symbol, moment: datetime
    ) -> tuple[Order, ...]:
        return self._mine(
            o
            for o in self._all()
            if (o.account_id, o.symbol) == (account_id, symbol)
            and o.is_ours
            and o.created_at >= moment
        )

    async def uncertain(self) -> tuple[Order, ...]:
        return self._mine(o for o in self._all() if o.status.is_uncertain)

    async def quarantined(self) -> tuple[Order, ...]:
        return tuple(o for o in self._all() if o.status is OrderStatus.QUARANTINED)

    async def named(
        self, account_id: AccountId, names: Iterable[ClientOrderId]
    ) -> tuple[Order, ...]:
        wanted = set(names)
        return self._mine(
            o
            for o in self._all()
            if o.account_id == account_id and o.is_ours and o.client_order_id in wanted
        )

    async def events(
        self, account_id: AccountId, keys: Iterable[str]
    ) -> dict[str, list[OrderEvent]]:
        wanted, found = set(keys), dict[str, list[OrderEvent]]()
        for owner, key, event in self._transaction.rows("events").values():
            if owner == account_id and key in wanted:
                found.setdefault(key, []).append(event)
        return found

    async def _stored(self, described: Sequence[Order]) -> dict[str, tuple[int, Order]]:
        numbers = {o.exchange_order_id for o in described if o.exchange_order_id}
        names = {o.client_order_id for o in described if o.client_order_id}
        return self._find(numbers, names, {o.account_id for o in described})

    async def _of_fills(self, new: Sequence[Fill]) -> dict[str, tuple[int, Order]]:
        if not new:
            return {}
        names = {one.client_order_id for one in new if one.client_order_id}
        numbers = {one.exchange_order_id for one in new}
        found = self._find(numbers, names, {one.account_id for one in new})
        return {
            key: stored
            for key, stored in found.items()
            if any(order_rows._belongs(one, stored[1]) for one in new)
        }

    async def _fills_of(self, found: Sequence[Order]) -> list[Fill]:
        every = [fill for _, fill in self._transaction.rows("fills").values()]
        return [f for f in every if any(order_rows._belongs(f, order) for order in found)]

    async def _write(
        self,
        changes: Iterable[OrderChange],
        stored: dict[str, tuple[int, Order]],
        *,
        detail: str | None = None,
    ) -> None:
        for change in changes:
            order = change.after
            known = stored.get(order.key)
            rows = self._transaction.own("orders")
            row_id = self._transaction.next_id() if known is None else known[0]
            self._require_unique(row_id, order)
            rows[row_id] = order
            if detail or order_rows._is_step(change):
                event = OrderEvent(
                    order.updated_at,
                    order.status,
                    order.filled_quantity,
                    detail or order.status_reason,
                )
                step = (order.account_id, order.key, event)
                self._transaction.own("events")[self._transaction.next_id()] = step

    def _require_unique(self, row_id: int, order: Order) -> None:
        for other_id, other in self._transaction.rows("orders").items():
            if other_id != row_id and _number(other) == _number(order) is not None:
                raise Conflict("two orders of one number", order=order.key)

    def _find(
        self, numbers: Collection[str], names: Collection[str], accounts: Collection[AccountId]
    ) -> dict[str, tuple[int, Order]]:
        return {
            order.key: (row_id, order)
            for row_id, order in self._transaction.rows("orders").items()
            if order.account_id in accounts
            and (
                order.exchange_order_id in numbers
                or (order.is_ours and order.client_order_id in names)
            )
        }

    def _all(self) -> Collection[Order]:
        return cast(Collection[Order], self._transaction.rows("orders").values())

    @staticmethod
    def _mine(orders: Iterable[Order]) -> tuple[Order, ...]:
        return tuple(sorted(orders, key=attrgetter("created_at")))


def _number(order: Order) -> tuple[object, ...] | None:
    number = order.exchange_order_id
    return None if number is None else (order.account_id, order.symbol, number)


class MemoryLedger(Ledger):
    """Rows: entries (account, key) -> RecordedEntry; sums (account, book, subject) -> Sum."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(cast(Any, None))
        self._transaction = transaction

    async def sums(self, account_id: AccountId) -> Sums:
        rows = self._transaction.rows("sums").items()
        return {(book, subject): one for (owner, book, subject), one in rows if owner == account_id}

    async def open_books(self, account_id: AccountId, opened: Mapping[Subject, datetime]) -> None:
        mine = self._transaction.own("sums")
        for (owner, book, subject), one in list(mine.items()):
            if owner == account_id and subject in opened:
                after = [
                    posting.quantity
                    for row in self._transaction.rows("entries").values()
                    for posting in row.entry.postings
                    if row.entry.account_id == account_id
                    and row.entry.occurred_at > opened[subject]
                    and (posting.book, posting.subject) == (book, subject)
                ]
                mine[owner, book, subject] = Sum(one.quantity, total(after))

    async def after(
        self, row_id: int, limit: int, *, account_ids: Collection[AccountId] | None = None
    ) -> tuple[RecordedEntry, ...]:
        every = sorted(self._transaction.rows("entries").values(), key=lambda one: one.id)
        return tuple(
            one
            for one in every
            if one.id > row_id and (account_ids is None or one.entry.account_id in account_ids)
        )[:limit]

    async def known(self, told: Sequence[Entry]) -> dict[Key, KnownEntry]:
        rows = self._transaction.rows("entries")
        keys = [(entry.account_id, entry.key) for entry in told]
        found = {key: rows[key].entry for key in keys if key in rows}
        return {key: KnownEntry(one.reference, one.postings) for key, one in found.items()}

    async def _name(self, key: Key, reference: str) -> None:
        mine = self._transaction.own("entries")
        mine[key] = replace(mine[key], entry=replace(mine[key].entry, reference=reference))

    async def _insert(self, entries: Sequence[Entry], now: datetime) -> None:
        mine = self._transaction.own("entries")
        for entry in entries:
            row_id = self._transaction.next_id()
            mine[entry.account_id, entry.key] = RecordedEntry(row_id, entry, now)

    async def _openings(
        self, account_ids: Collection[AccountId]
    ) -> dict[AccountId, dict[Subject, datetime]]:
        openings: dict[AccountId, dict[Subject, datetime]] = {}
        for (owner, subject), book in self._transaction.rows("books").items():
            if owner in account_ids:
                openings.setdefault(owner, {})[subject] = book.opened_at
        return openings

    async def _save_sums(self, sums: Mapping[Any, Sum]) -> None:
        self._transaction.own("sums").update(sums)


class MemoryFlowCursors:
    """The venue tells of no cash flows."""

    def __init__(self, transaction: Transaction) -> None:
        pass

    async def list(self, account_id: AccountId) -> tuple[()]:
        return ()


class MemoryFills(Fills):
    """Rows: (account, symbol, trade id) -> (row id, Fill)."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(cast(Any, _Written(transaction)), MemoryLedger(transaction))
        self._transaction = transaction

    async def since(self, account_id: AccountId, moment: datetime) -> tuple[Fill, ...]:
        mine = [(f.occurred_at, i, f) for i, f in self._of(account_id) if f.occurred_at >= moment]
        return tuple(fill for _, _, fill in sorted(mine, key=lambda row: row[:2]))

    async def is_fee_in_doubt(self, account_id: AccountId, after: datetime) -> bool:
        return any(f.fee is None and f.occurred_at > after for _, f in self._of(account_id))

    async def symbols(self, account_id: AccountId) -> tuple[Symbol, ...]:
        return tuple(sorted({fill.symbol for _, fill in self._of(account_id)}))

    async def _known(self, told: Iterable[Fill]) -> dict[Any, Fill]:
        rows = self._transaction.rows("fills")
        keys = map(fill_rows._key, told)
        return {key: rows[key][1] for key in keys if key in rows}

    def _of(self, account_id: AccountId) -> list[tuple[int, Fill]]:
        rows = self._transaction.rows("fills").values()
        return [row for row in rows if row[1].account_id == account_id]


class MemoryCursors(FillCursors):
    def __init__(self, transaction: Transaction) -> None:
        super().__init__(cast(Any, _Written(transaction)))
        self._transaction = transaction

    async def list(self, account_id: AccountId) -> tuple[StoredCursor, ...]:
        rows = sorted(self._transaction.rows("cursors").items())
        return tuple(stored for (owner, _), stored in rows if owner == account_id)


class MemoryIntents:
    """Rows: name -> Intent."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add(self, intent: Intent) -> None:
        if intent.client_order_id in self._transaction.rows("intents"):
            raise Conflict("an intent of this name exists", order=intent.client_order_id)
        await self.save(intent)

    async def save(self, intent: Intent) -> None:
        self._transaction.own("intents")[intent.client_order_id] = intent

    async def load(self, client_order_id: ClientOrderId) -> Intent:
        intent = self._transaction.rows("intents").get(client_order_id)
        if intent is None:
            raise NotFound("no such intent", order=client_order_id)
        return cast(Intent, intent)

    async def named(self, names: Iterable[ClientOrderId]) -> dict[ClientOrderId, Intent]:
        rows = self._transaction.rows("intents")
        return {name: rows[name] for name in names if name in rows}

    async def watched(self, account_id: AccountId, now: datetime) -> tuple[Intent, ...]:
        return tuple(
            one
            for one in self._transaction.rows("intents").values()
            if one.account_id == account_id
            and one.watched_until is not None
            and one.watched_until > now
        )

    async def holds(self, account_id: AccountId) -> tuple[Hold, ...]:
        live = [
            (order, intent)
            for order, intent in self._pairs()
            if order.account_id == account_id
            and not order.status.is_final
            and intent.reserved_asset is not None
        ]
        return tuple(
            Hold(
                order.symbol,
                cast(Any, intent.reserved_asset),
                left_of(intent.reserved, order.quantity_max, order.filled_quantity),
                is_at_venue=order.status.is_open,
            )
            for order, intent in live
        )

    async def value_undone(
        self,
        since: datetime,
        *,
        account_id: AccountId | None = None,
        user_id: UserId | None = None,
    ) -> Decimal:
        return total(
            [
                intent.value
                for order, intent in self._pairs()
                if order.status.came_to_nothing
                and order.created_at >= since
                and intent.value is not None
                and account_id in {None, intent.account_id}
                and user_id in {None, intent.user_id}
            ]
        )

    def _pairs(self) -> Iterable[tuple[Order, Intent]]:
        intents = self._transaction.rows("intents")
        for order in self._transaction.rows("orders").values():
            if order.client_order_id in intents:
                yield order, intents[order.client_order_id]


class MemoryKeys:
    """Rows: (user, key) -> StoredRequest."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add(self, request: StoredRequest) -> None:
        if (request.user_id, request.key) in self._transaction.rows("keys"):
            raise Conflict("this key was used before")
        await self.save(request)

    async def find(self, user_id: UserId, key: str) -> StoredRequest | None:
        return cast(StoredRequest | None, self._transaction.rows("keys").get((user_id, key)))

    async def save(self, request: StoredRequest) -> None:
        self._transaction.own("keys")[request.user_id, request.key] = request

    async def answer(self, user_id: UserId, key: str, status: int, body: str) -> None:
        if (known := await self.find(user_id, key)) is not None:
            await self.save(replace(known, status=status, body=body))

    async def forget_before(self, moment: datetime) -> int:
        orders = self._transaction.rows("orders").values()
        live = {f"{o.account_id}.{o.client_order_id}" for o in orders if not o.status.is_final}
        mine = self._transaction.own("keys")
        old = [k for k, one in mine.items() if one.created_at < moment and one.subject not in live]
        for key in old:
            del mine[key]
        return len(old)


class MemoryLeases(Leases):
    def __init__(self, transaction: Transaction) -> None:
        super().__init__(cast(Any, _Written(transaction)))
        self._transaction = transaction

    async def load(self, account_id: AccountId) -> Lease | None:
        return cast(Lease | None, self._transaction.rows("leases").get(account_id))


class MemorySwitches(Switches):
    def __init__(self, transaction: Transaction) -> None:
        super().__init__(cast(Any, _Written(transaction)))
        self._transaction = transaction

    async def list(self) -> tuple[TradingSwitch, ...]:
        return tuple(switch for _, switch in sorted(self._transaction.rows("switches").items()))


class MemoryLimits:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def load(self, subject: str) -> tuple[TradingLimits, int] | None:
        found: tuple[TradingLimits, int] | None = self._transaction.rows("limits").get(subject)
        return found

    async def save(
        self, subject: str, limits: TradingLimits, version: int, by: str | None, now: datetime
    ) -> None:
        self._transaction.own("limits")[subject] = (limits, version)

    async def used(self, subject: str, day: str) -> Decimal:
        return cast(Decimal, self._transaction.rows("usage").get((subject, day), ZERO))

    async def use(self, subject: str, day: str, value: Decimal) -> None:
        self._transaction.own("usage")[subject, day] = value


class MemoryReconciliations:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add(self, report: CycleReport) -> None:
        self._transaction.own("reports")[self._transaction.next_id()] = report

    async def list(self, account_id: AccountId, limit: int) -> tuple[CycleReport, ...]:
        rows = reversed(self._transaction.rows("reports").values())
        return tuple([one for one in rows if one.account_id == account_id][:limit])

    async def prune(self, account_id: AccountId) -> None:
        """A simulated run makes few."""

    async def books(self, account_id: AccountId) -> tuple[AssetBook, ...]:
        rows = self._transaction.rows("books").items()
        return tuple(book for (owner, _), book in rows if owner == account_id)

    async def replace_books(self, account_id: AccountId, books: Sequence[AssetBook]) -> None:
        mine = self._transaction.own("books")
        for key in [key for key in mine if key[0] == account_id]:
            del mine[key]
        mine.update({(account_id, book.subject): book for book in books})


class MemoryBalances:
    """Rows: (account, wallet, asset) -> StoredBalance."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def replace(self, report: BalanceReport) -> bool:
        account_id = report.account_id
        rows = self._transaction.rows("balances")
        told = {(account_id, b.wallet, b.asset): b for b in report.balances}
        changed = {k: b for k, b in told.items() if k not in rows or rows[k].balance != b}
        gone = [] if report.is_partial else [
            k for k in rows if k[0] == account_id and k[1] in report.wallets and k not in told
        ]  # fmt: skip
        if not changed and not gone:
            return False
        mine = self._transaction.own("balances")
        for key in gone:
            del mine[key]
        for key, balance in changed.items():
            mine[key] = StoredBalance(account_id, balance, report.occurred_at, report.received_at)
        return True

    async def list(self, account_id: AccountId | None = None) -> tuple[StoredBalance, ...]:
        rows = sorted(self._transaction.rows("balances").items())
        return tuple(stored for key, stored in rows if account_id in {None, key[0]})


class MemoryPositions:
    """Rows: (account, symbol, side) -> Position."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def replace(
        self,
        account_id: AccountId,
        exchange: ExchangeId,
        open_now: Sequence[Position],
        received_at: datetime,
    ) -> bool:
        told = {_exposure(p): replace(p, received_at=received_at) for p in open_now if p.quantity}
        gone = [key for key in self._transaction.rows("positions") if key not in told]
        return self._write(told, gone)

    async def upsert(self, changed: Sequence[Position]) -> bool:
        known = self._transaction.rows("positions")
        gone = [_exposure(p) for p in changed if not p.quantity and _exposure(p) in known]
        return self._write({_exposure(p): p for p in changed if p.quantity}, gone)

    async def list(self, account_id: AccountId | None = None) -> tuple[Position, ...]:
        rows = sorted(self._transaction.rows("positions").items())
        return tuple(one for key, one in rows if account_id in {None, key[0]})

    def _write(self, told: dict[Any, Position], gone: Sequence[Any]) -> bool:
        known = self._transaction.rows("positions")
        changed = {k: p for k, p in told.items() if k not in known or _differs(p, known[k])}
        if not changed and not gone:
            return False
        mine = self._transaction.own("positions")
        for key in gone:
            del mine[key]
        mine.update(changed)
        return True


def _exposure(position: Position) -> tuple[AccountId, Symbol, str]:
    return (position.account_id, position.symbol, position.side)


def _differs(told: Position, known: Position) -> bool:
    return replace(told, occurred_at=known.occurred_at, received_at=known.received_at) != known


class MemoryUnitOfWork(Transaction):
    """What `UnitOfWork` offers to the code that is simulated; made when it is asked for."""

    orders = property(MemoryOrders)
    fills = property(MemoryFills)
    fill_cursors = property(MemoryCursors)
    ledger = property(MemoryLedger)
    flow_cursors = property(MemoryFlowCursors)
    intents = property(MemoryIntents)
    idempotency_keys = property(MemoryKeys)
    leases = property(MemoryLeases)
    switches = property(MemorySwitches)
    limits = property(MemoryLimits)
    reconciliations = property(MemoryReconciliations)
    balances = property(MemoryBalances)
    positions = property(MemoryPositions)


class MemoryDatabase:
    """`Database`, over a `Disk`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def begin(self) -> MemoryUnitOfWork:
        return MemoryUnitOfWork(self._disk, may_write=True)

    def read(self) -> MemoryUnitOfWork:
        return MemoryUnitOfWork(self._disk, may_write=False)

    def as_database(self) -> Database:
        """For code that names the class."""
        return cast(Database, self)
