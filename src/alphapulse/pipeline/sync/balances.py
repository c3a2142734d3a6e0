"""Balances Sync: what each wallet holds, from REST and from the private stream."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from alphapulse.database.connection import Database
from alphapulse.domain.balance import Balance, BalanceReport, Wallet
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import BalancesChanged
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.errors import ExchangeUnavailable
from alphapulse.exchanges.port import Exchange
from alphapulse.runtime.bus import EventBus

Holding = tuple[Wallet, Asset]

# An account may really be emptied. One read in which everything vanished proves nothing; this many
# in a row, each confirmed by a second, do.
EMPTY_READS_BELIEVED = 3


@dataclass(slots=True)
class _Known:
    balance: Balance
    heard_at: datetime | None = None
    """When the stream said it, on our clock; ``None`` for REST."""


class BalanceSync:
    """Keeps one account's balances.

    An asset that was there and is absent from a complete report is believed gone only when a
    second report agrees. What the stream says while a report is under way is newer than the
    report; what it said before, and is written only now, is older.
    """

    def __init__(
        self,
        account_id: AccountId,
        exchange: Exchange,
        database: Database,
        bus: EventBus,
        clock: Clock,
    ) -> None:
        self._account_id = account_id
        self._exchange = exchange
        self._database = database
        self._bus = bus
        self._clock = clock
        self._known: dict[Holding, _Known] = {}
        self._empty_reads = 0
        self._read_began: datetime | None = None
        self._storing = asyncio.Lock()

    @property
    def assets(self) -> frozenset[Asset]:
        """Every asset that is or was there."""
        return frozenset(asset for _, asset in self._known)

    async def load(self) -> None:
        """Begin with what is stored."""
        async with self._database.read() as tx:
            stored = await tx.balances.list(self._account_id)
        self._known = {(s.balance.wallet, s.balance.asset): _Known(s.balance) for s in stored}

    async def read(self) -> frozenset[Asset]:
        """Fetch a complete report and store it; the assets whose balance is another than before.

        Raises:
            ExchangeUnavailable: the reports contradict each other or what was known.
        """
        began = self._clock.now()
        report = await self._exchange.fetch_balances()
        if missing := self._missing(report):
            report = await self._confirmed(missing)
        self._check_emptiness(report)
        async with self._storing:
            changed = await self._store(self._with_newer(report, began))
            self._read_began = began
            return changed

    async def take(self, report: BalanceReport) -> frozenset[Asset]:
        """Store what the stream reported; the assets whose balance is another than before."""
        async with self._storing:
            if self._read_began is not None and report.received_at < self._read_began:
                return frozenset()
            changed = await self._store(report)
            for balance in report.balances:
                self._known[balance.wallet, balance.asset] = _Known(balance, report.received_at)
            return changed

    def _missing(self, report: BalanceReport) -> set[Holding]:
        """What was there and is absent from wallets the report covers."""
        if report.is_partial:
            return set()
        reported = {(b.wallet, b.asset) for b in report.balances}
        return {
            holding
            for holding, known in self._known.items()
            if holding[0] in report.wallets and holding not in reported and _is_something(known)
        }

    async def _confirmed(self, missing: set[Holding]) -> BalanceReport:
        """A second report in which at most the same is absent."""
        report = await self._exchange.fetch_balances()
        if not self._missing(report) <= missing:
            raise ExchangeUnavailable(
                "two balance reports in a row lack different assets",
                exchange=self._exchange.id,
            )
        return report

    def _check_emptiness(self, report: BalanceReport) -> None:
        held = any(_is_something(known) for known in self._known.values())
        if not held or not all(b.is_empty for b in report.balances):
            self._empty_reads = 0
            return
        self._empty_reads += 1
        if self._empty_reads < EMPTY_READS_BELIEVED:
            raise ExchangeUnavailable(
                "the account is reported empty and was not", exchange=self._exchange.id
            )

    def _with_newer(self, report: BalanceReport, began: datetime) -> BalanceReport:
        newer = {
            holding: known.balance
            for holding, known in self._known.items()
            if known.heard_at is not None and known.heard_at >= began
        }
        if not newer:
            return report
        older = [b for b in report.balances if (b.wallet, b.asset) not in newer]
        return replace(report, balances=(*older, *newer.values()))

    async def _store(self, report: BalanceReport) -> frozenset[Asset]:
        async with self._database.begin() as tx:
            is_changed = await tx.balances.replace(report)
        if not is_changed:
            return frozenset()
        changed = self._remember(report)
        self._bus.publish(BalancesChanged(self._account_id))
        return changed

    def _remember(self, report: BalanceReport) -> frozenset[Asset]:
        after = {
            holding: known
            for holding, known in self._known.items()
            if report.is_partial or holding[0] not in report.wallets
        }
        after |= {(b.wallet, b.asset): _Known(b) for b in report.balances}
        before, self._known = self._known, after
        return frozenset(
            asset
            for wallet, asset in before.keys() | after.keys()
            if _amounts(before.get((wallet, asset))) != _amounts(after.get((wallet, asset)))
        )


def _is_something(known: _Known) -> bool:
    return not known.balance.is_empty


def _amounts(known: _Known | None) -> tuple[object, ...]:
    return (known.balance.free, known.balance.locked, known.balance.borrowed) if known else ()
