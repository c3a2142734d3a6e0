"""Reconciler: compares an account with its venue, completely or not at all.

At the start, after each reconnect of the private stream, and again and again. What could not be
read completely concludes nothing (``reliability.md`` 1.5).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from loguru import logger

from alphapulse.database.repositories.ledger import Sums
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.balance import BalanceReport
from alphapulse.domain.books import Evidence, compared, held, settled_in, untold
from alphapulse.domain.events import OrderAlarm, OrderAlarmed
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.ledger import Book, Subject, Sum
from alphapulse.domain.money import ZERO
from alphapulse.domain.position import Position
from alphapulse.domain.trading import AssetBook, CycleOutcome, CycleReport
from alphapulse.errors import ExchangeError
from alphapulse.observability import metrics
from alphapulse.pipeline.execution.context import ExecutionContext
from alphapulse.pipeline.execution.desk import OrderDesk


@dataclass(frozen=True, slots=True)
class Read:
    """What reading the orders and fills of an account brought."""

    orders: int = 0
    fills_new: int = 0
    external: int = 0


class BalancesMove(Exception):
    """No two readings in a row agreed: the account is too busy to compare it now."""


@dataclass(slots=True)
class _Found:
    read: Read = Read()
    unresolved: int = 0
    are_flows_read: bool = True
    off: tuple[AssetBook, ...] = ()


class Reconciler:
    """Keeps the books of one account and compares them.

    Args:
        read_orders: brings every open order, and those that left the list, up to date, and the
            fills of symbols where orders of ours are under way; raises what it could not read.
        read_flows: brings the cash flows up to date, where the venue tells of them, and says
            whether it could be asked for all of them now; raises as well.
    """

    def __init__(
        self,
        context: ExecutionContext,
        desk: OrderDesk,
        read_orders: Callable[[], Awaitable[Read]],
        read_flows: Callable[[], Awaitable[bool]],
    ) -> None:
        self._context = context
        self._desk = desk
        self._read_orders = read_orders
        self._read_flows = read_flows
        self._one_at_a_time = asyncio.Lock()
        self._drifting: set[str] = set()
        self.last: CycleReport | None = None
        """The newest report; safe to read from any thread."""

    async def cycle(self, cause: str) -> CycleReport:
        """Compare once; the report, which is stored too.

        Raises:
            DatabaseError: it could not be stored.
        """
        async with self._one_at_a_time:
            began_at, found, void = self._context.clock.now(), _Found(), None
            try:
                await self._compare(found)
            except ExchangeError as error:
                void = str(error)
                self._context.on_error(error)
            except BalancesMove:
                void = "the balances kept moving"
            report = self._report(cause, began_at, found, void)
            async with self._context.database.begin() as tx:
                await tx.reconciliations.add(report)
                await tx.reconciliations.prune(self._context.account_id)
        if void is not None:
            metrics.RECONCILIATIONS_VOID.labels(self._context.exchange.id).inc()
            logger.bind(account_id=report.account_id, cause=void).info("reconciliation void")
        self.last = report
        return report

    async def _compare(self, found: _Found) -> None:
        before = await self._context.exchange.fetch_balances()
        has_read_flows = not self._context.exchange.capabilities.cash_flows
        for _ in range(self._context.settings.cuts_max):
            cut_at = before.occurred_at
            read = await self._read_orders()
            found.read = _sum(found.read, read)
            found.unresolved = await self._desk.settle()
            after = await self._context.exchange.fetch_balances()
            if _totals(before) == _totals(after) and not read.fills_new:
                await self._check_books(found, after, cut_at, is_final=has_read_flows)
                if has_read_flows or not found.off:
                    return
                # Most cycles need no flows; what fills do not explain, they may.
                found.are_flows_read = await self._read_flows()
                has_read_flows = True
            before = after
        raise BalancesMove

    async def _check_books(
        self, found: _Found, report: BalanceReport, cut_at: datetime, *, is_final: bool
    ) -> None:
        """Open books for what is new and find what is off; a difference is kept if ``is_final``."""
        context = self._context
        positions: tuple[Position, ...] = ()
        if context.exchange.capabilities.positions:
            positions = await context.exchange.fetch_positions()
        shown = held(report.balances, positions)
        async with context.database.begin() as tx:
            symbols = await tx.fills.symbols(context.account_id)
            settled = settled_in((*symbols, *(one.symbol for one in positions)))
            books = await self._opened(tx, report, shown, settled, cut_at)
            sums = await tx.ledger.sums(context.account_id)
            moved = {subject: one.after_opening for subject, one in _in(Book.VENUE, sums)}
            evidence = await self._evidence(tx, books, sums, settled)
            if not found.are_flows_read:
                evidence = replace(evidence, are_flows_read=False)
            after = compared(books, moved, shown, evidence)
            found.off = tuple(book for book in after if book.off_by)
            if found.off and not is_final:
                return
            await tx.reconciliations.replace_books(context.account_id, after)
        self._say(after)

    async def _opened(
        self,
        tx: UnitOfWork,
        report: BalanceReport,
        shown: Mapping[Subject, Decimal],
        settled: frozenset[Asset],
        cut_at: datetime,
    ) -> tuple[AssetBook, ...]:
        """The books, with those that are new: the first ones open with what is there; what turns
        up later must come from an entry. What the venue does not tell of is opened each time."""
        account_id = self._context.account_id
        books = {book.subject: book for book in await tx.reconciliations.books(account_id)}
        opened_at = min((book.opened_at for book in books.values()), default=None)
        tells_all = self._context.exchange.capabilities.cash_flows
        again = frozenset() if tells_all else untold(report.balances, settled)
        new = {}
        for subject in (shown.keys() | again) - books.keys() | again:
            is_first = opened_at is None or subject in again
            at, anchor = (cut_at, shown.get(subject, ZERO)) if is_first else (opened_at, ZERO)
            new[subject] = AssetBook(
                account_id, subject, anchor, at or cut_at, ZERO, anchor, cut_at
            )
        if new:
            await tx.ledger.open_books(
                account_id, {one.subject: one.opened_at for one in new.values()}
            )
        return tuple(book for _, book in sorted((books | new).items()))

    async def _evidence(
        self, tx: UnitOfWork, books: Iterable[AssetBook], sums: Sums, settled: frozenset[Asset]
    ) -> Evidence:
        account_id = self._context.account_id
        opened_at = min((book.opened_at for book in books), default=None)
        return Evidence(
            compared_at=self._context.clock.now(),
            is_fee_in_doubt=opened_at is not None
            and await tx.fills.is_fee_in_doubt(account_id, opened_at),
            are_fills_read=all(one.complete for one in await tx.fill_cursors.list(account_id)),
            are_flows_read=all(one.complete for one in await tx.flow_cursors.list(account_id)),
            in_transit={subject: one.quantity for subject, one in _in(Book.TRANSIT, sums)},
            settled=settled,
        )

    def _say(self, books: Iterable[AssetBook]) -> None:
        """An alarm for each drift, once, and once when it is over."""
        for book in books:
            is_drift = book.cycles_off >= self._context.settings.drift_cycles
            if is_drift == (book.subject in self._drifting):
                continue
            (self._drifting.add if is_drift else self._drifting.discard)(book.subject)
            detail = f"{book.subject}: the exchange shows {book.off_by} beyond the books"
            self._context.bus.publish(
                OrderAlarmed(
                    OrderAlarm.DRIFT, book.account_id, book.subject, detail, is_over=not is_drift
                )
            )

    def _report(
        self, cause: str, began_at: datetime, found: _Found, void: str | None
    ) -> CycleReport:
        drift = [
            book for book in found.off if book.cycles_off >= self._context.settings.drift_cycles
        ]
        outcome = CycleOutcome.DRIFT if drift else CycleOutcome.CLEAN
        detail = void or "; ".join(f"{book.subject} {book.off_by}" for book in found.off)
        return CycleReport(
            account_id=self._context.account_id,
            cause=cause,
            began_at=began_at,
            ended_at=self._context.clock.now(),
            outcome=CycleOutcome.VOID if void is not None else outcome,
            orders_read=found.read.orders,
            fills_new=found.read.fills_new,
            external=found.read.external,
            unresolved=found.unresolved,
            differences=len(found.off),
            detail=detail or None,
        )


def _in(book: Book, sums: Sums) -> Iterator[tuple[Subject, Sum]]:
    return ((subject, one) for (where, subject), one in sums.items() if where is book)


def _totals(report: BalanceReport) -> dict[tuple[str, str], Decimal]:
    return {(b.wallet, b.asset): b.total for b in report.balances}


def _sum(one: Read, other: Read) -> Read:
    return Read(
        orders=other.orders,
        fills_new=one.fills_new + other.fills_new,
        external=one.external + other.external,
    )
