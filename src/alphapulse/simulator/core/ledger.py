"""Ledger: what moved an account's money besides its trades, to be asked for later."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.simulator.core.events import (
    BalancesChanged,
    Cause,
    CoreEvent,
    FundingCharged,
    Movement,
)
from alphapulse.simulator.core.instrument import Category, Instrument

# Some years of funding of a few positions.
ENTRIES_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """``amount`` of ``asset`` came into a category's wallet, or left it when negative."""

    id: int
    at_ms: int
    cause: Cause
    category: Category
    asset: str
    amount: Decimal
    instrument: Instrument | None = None
    """Of funding: what it was paid for."""
    movement: Movement | None = None
    """Of what the treasury moved."""


class Ledger:
    """Listens from the venue's first day on."""

    def __init__(self) -> None:
        self._entries: dict[str, deque[LedgerEntry]] = {}
        self._touched_ms: dict[tuple[str, Category, str], int] = {}
        self._next_id = 1

    def hear(self, event: CoreEvent) -> None:
        """Remember what an event says about money."""
        if isinstance(event, FundingCharged):
            asset = event.instrument.quote
            self._note(
                event, event.account_id, Cause.FUNDING, Category.LINEAR, asset, event.amount,
                event.instrument,
            )  # fmt: skip
        elif isinstance(event, BalancesChanged):
            for asset in event.assets:
                self._touched_ms[event.account_id, event.category, asset] = event.at_ms
            if event.delta is not None and event.cause is not Cause.FUNDING:
                self._note(
                    event, event.account_id, event.cause, event.category, event.assets[0],
                    event.delta, movement=event.movement,
                )  # fmt: skip

    def entries(self, account_id: str, category: Category) -> Sequence[LedgerEntry]:
        """Oldest first."""
        return [e for e in self._entries.get(account_id, ()) if e.category is category]

    def all_entries(self, account_id: str) -> Sequence[LedgerEntry]:
        """Of every category, oldest first."""
        return self._entries.get(account_id, ())

    def resume(self, account_id: str, entries: Iterable[LedgerEntry]) -> None:
        """Remember what moved an account's money before."""
        kept = self._entries[account_id] = deque(entries, maxlen=ENTRIES_KEPT)
        self._next_id = max([self._next_id, *(entry.id + 1 for entry in kept)])
        for entry in kept:
            self._touched_ms[account_id, entry.category, entry.asset] = entry.at_ms

    def touched_ms(self, account_id: str, category: Category, asset: str) -> int:
        """When a balance changed last; 0: never."""
        return self._touched_ms.get((account_id, category, asset), 0)

    def _note(
        self,
        event: CoreEvent,
        account_id: str,
        cause: Cause,
        category: Category,
        asset: str,
        amount: Decimal,
        instrument: Instrument | None = None,
        movement: Movement | None = None,
    ) -> None:
        entry = LedgerEntry(
            self._next_id, event.at_ms, cause, category, asset, amount, instrument, movement
        )
        self._next_id += 1
        kept = self._entries.setdefault(account_id, deque(maxlen=ENTRIES_KEPT))
        kept.append(entry)
