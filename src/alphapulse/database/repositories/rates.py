"""Repository Pattern Implementation: rates that were noted, and those that are wanted."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, func, select

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.bookkeeping import rate_wants, rates
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.rates import Rate, RateWant

RATE = Rows(Rate, rates)
WANT = Rows(RateWant, rate_wants)


class WantCounts(NamedTuple):
    """Of one currency."""

    open: int
    """To be looked for now."""
    answered: int
    """Stored, and not counted with yet."""


class StoredRates:
    """Rates, each once, and what became of those that were asked for."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def save(self, told: Sequence[Rate]) -> None:
        """Store rates; the same one told again replaces itself."""
        await self._statements.upsert(rates, [RATE.values(rate) for rate in told])

    async def between(
        self, currency: Asset, assets: Collection[Asset], start: datetime, end: datetime
    ) -> tuple[Rate, ...]:
        """Of these assets, as of ``start <= t <= end``."""
        c = rates.c
        wanted = select(*RATE.columns).where(
            c.currency == currency, c.asset.in_(assets), c.as_of >= start, c.as_of <= end
        )
        return tuple(RATE.read(row) for row in await self._statements.rows(wanted))

    async def want(self, wants: Iterable[RateWant]) -> None:
        """Ask for the closes of past minutes; one that was asked for before stays as it is."""
        rows = [WANT.values(want, due_at=want.told_at) for want in wants]
        await self._statements.upsert(rate_wants, rows, keep=["due_at"])

    async def wanted(self, now: datetime, limit: int) -> tuple[RateWant, ...]:
        """Those that are due, the newest minutes first."""
        c = rate_wants.c
        wanted = (
            select(*WANT.columns)
            .where(c.answered_at.is_(None), c.due_at <= now)
            .order_by(c.minute.desc(), c.currency, c.asset)
            .limit(limit)
        )
        return tuple(WANT.read(row) for row in await self._statements.rows(wanted))

    async def put_off(self, wants: Iterable[RateWant], until: datetime) -> None:
        """Nobody tells them now."""
        rows = [WANT.values(want, due_at=until) for want in wants]
        await self._statements.upsert(rate_wants, rows)

    async def answer(self, found: Mapping[RateWant, Rate], at: datetime) -> None:
        """Store what was wanted."""
        await self.save(list(found.values()))
        rows = [WANT.values(want, due_at=at, answered_at=at) for want in found]
        await self._statements.upsert(rate_wants, rows)

    async def want_counts(self, now: datetime) -> dict[Asset, WantCounts]:
        """By currency, where there are any."""
        c = rate_wants.c
        is_open = c.answered_at.is_(None) & (c.due_at <= now)
        counted = select(
            c.currency,
            func.count().filter(is_open).label("open"),
            func.count().filter(c.answered_at.is_not(None)).label("answered"),
        ).group_by(c.currency)
        rows = await self._statements.rows(counted)
        return {Asset(row.currency): WantCounts(row.open, row.answered) for row in rows}

    async def forget_answered(self, currency: Asset, until: datetime) -> None:
        """A count was made with all that was answered until then."""
        c = rate_wants.c
        await self._statements.run(
            delete(rate_wants).where(c.currency == currency, c.answered_at <= until)
        )
