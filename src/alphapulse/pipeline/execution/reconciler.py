"""Reconciler: compares an account with its venue, completely or not at all.

At the start, after each reconnect of the private stream, and again and again. What could not be
read completely concludes nothing (``reliability.md`` 1.5).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from loguru import logger

from alphapulse.domain.balance import BalanceReport
from alphapulse.domain.effects import Effects, effects_of
from alphapulse.domain.events import OrderAlarm, OrderAlarmed
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.order import Fill
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
    off: tuple[AssetBook, ...] = ()


class Reconciler:
    """Keeps the books of one account and compares them.

    Args:
        read_orders: brings every open order, and those that left the list, up to date, and the
            fills of symbols where orders of ours are under way; raises what it could not read.
    """

    def __init__(
        self,
        context: ExecutionContext,
        desk: OrderDesk,
        read_orders: Callable[[], Awaitable[Read]],
    ) -> None:
        self._context = context
        self._desk = desk
        self._read_orders = read_orders
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
        for _ in range(self._context.settings.cuts_max):
            cut_at = before.occurred_at
            read = await self._read_orders()
            found.read = _sum(found.read, read)
            found.unresolved = await self._desk.settle()
            after = await self._context.exchange.fetch_balances()
            if _totals(before) == _totals(after) and not read.fills_new:
                found.off = await self._check_books(after, cut_at)
                return
            before = after
        raise BalancesMove

    async def _check_books(self, report: BalanceReport, cut_at: datetime) -> tuple[AssetBook, ...]:
        """Count the new fills in, open books for what is new, and say what is off."""
        context = self._context
        positions: tuple[Position, ...] = ()
        if context.exchange.capabilities.positions:
            positions = await context.exchange.fetch_positions()
        async with context.database.begin() as tx:
            traded = {*await tx.fills.symbols(context.account_id), *(p.symbol for p in positions)}
            actual = _actual(report, positions, settled={one.partition(":")[2] for one in traded})
            known = await tx.reconciliations.books(context.account_id)
            last = min((book.counted_to for book in known), default=0)
            new, last = await tx.fills.stored_after(context.account_id, last)
            if any(one.fee is None for one in new):
                return ()  # the venue has yet to tell it; until then nothing can be compared
            books = [
                _compared(one, actual) for one in self._counted(known, actual, new, last, cut_at)
            ]
            await tx.reconciliations.replace_books(context.account_id, books)
        self._say(books)
        return tuple(book for book in books if book.off_by)

    def _counted(
        self,
        known: tuple[AssetBook, ...],
        actual: Effects,
        new: tuple[Fill, ...],
        last: int,
        cut_at: datetime,
    ) -> Iterator[AssetBook]:
        """The books after the new fills. The first ones open with what is there; what turns up
        later must come from a fill."""
        account_id = self._context.account_id
        books = {book.subject: book for book in known}
        opened_at = min((book.opened_at for book in known), default=cut_at)
        moved = effects_of(one for one in new if one.occurred_at > opened_at)
        for subject in sorted(actual.keys() | books.keys()):
            opening = ZERO if known else actual.get(subject, ZERO)
            book = books.get(subject) or AssetBook(
                account_id, subject, opening, opened_at, last, ZERO
            )
            expected = EXACT.add(book.expected, moved.get(subject, ZERO) if known else ZERO)
            yield replace(book, expected=expected, counted_to=last)

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


def _compared(book: AssetBook, actual: Effects) -> AssetBook:
    off_by = EXACT.subtract(actual.get(book.subject, ZERO), book.expected)
    return replace(book, off_by=off_by, cycles_off=book.cycles_off + 1 if off_by else 0)


def _actual(
    report: BalanceReport, positions: Iterable[Position], *, settled: Collection[str]
) -> Effects:
    """What the venue shows, for what fills alone can move.

    Profit, funding and interest move the assets in which contracts settle, and what is borrowed:
    those have no book here.
    """
    actual: Effects = {}
    for balance in report.balances:
        if balance.asset not in settled and not balance.borrowed:
            actual[balance.asset] = EXACT.add(actual.get(balance.asset, ZERO), balance.total)
    for position in positions:
        before = actual.get(position.symbol, ZERO)
        actual[position.symbol] = EXACT.add(before, position.signed_quantity)
    return actual


def _totals(report: BalanceReport) -> dict[tuple[str, str], Decimal]:
    return {(b.wallet, b.asset): b.total for b in report.balances}


def _sum(one: Read, other: Read) -> Read:
    return Read(
        orders=other.orders,
        fills_new=one.fills_new + other.fills_new,
        external=one.external + other.external,
    )
