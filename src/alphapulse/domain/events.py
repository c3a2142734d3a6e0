"""Events: what happened, past tense and frozen. They are all that crosses between threads."""

from collections.abc import Hashable
from decimal import Decimal
from enum import StrEnum
from typing import Self

import msgspec

from alphapulse.domain.account import Account
from alphapulse.domain.alert import Alert
from alphapulse.domain.identifiers import AccountId, ExchangeId, UserId
from alphapulse.domain.market import Candle, Ticker
from alphapulse.domain.order import Fill, Order
from alphapulse.domain.rebalance.records import RunRecord
from alphapulse.domain.sync import SyncStatus


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened.

    An event with a ``latest_only_key`` may stand in for the waiting one of the same key when its
    reader is slower than the world: ``replacing(older)`` is what a screen needs, ``folding(older)``
    what a rule needs, where no extreme may be lost. State events have no key and never merge.
    A struct of msgspec, because one is made for every market message.
    """

    @property
    def latest_only_key(self) -> Hashable | None:
        return None

    def replacing(self, older: Self) -> Self:
        return self

    def folding(self, older: Self) -> Self:
        return self


class TickerUpdated(Event, frozen=True, gc=False):
    """``low``, ``high`` and ``updates`` cover every ticker since the reader's last take."""

    ticker: Ticker
    low: Decimal | None = None
    high: Decimal | None = None
    updates: int = 1

    @property
    def latest_only_key(self) -> Hashable | None:
        return (TickerUpdated, self.ticker.exchange, self.ticker.symbol)

    def folding(self, older: Self) -> Self:
        lows = [
            p for p in (older.low, older.ticker.last, self.low, self.ticker.last) if p is not None
        ]
        highs = [
            p for p in (older.high, older.ticker.last, self.high, self.ticker.last) if p is not None
        ]
        return msgspec.structs.replace(
            self,
            low=min(lows, default=None),
            high=max(highs, default=None),
            updates=older.updates + self.updates,
        )


class CandleUpdated(Event, frozen=True, gc=False):
    """An open candle moved; the next one of the same candle replaces it."""

    candle: Candle

    @property
    def latest_only_key(self) -> Hashable | None:
        c = self.candle
        return (CandleUpdated, c.exchange, c.symbol, c.timeframe, c.open_time)


class CandleClosed(Event, frozen=True, gc=False):
    """The exchange closed a candle. Never merged: each one is stored."""

    candle: Candle


class BalancesChanged(Event, frozen=True, gc=False):
    """The stored balances of an account differ from before; readers load them again."""

    account_id: AccountId

    @property
    def latest_only_key(self) -> Hashable | None:
        return (BalancesChanged, self.account_id)


class PositionsChanged(Event, frozen=True, gc=False):
    """The stored positions of an account differ from before; readers load them again."""

    account_id: AccountId

    @property
    def latest_only_key(self) -> Hashable | None:
        return (PositionsChanged, self.account_id)


class LedgerChanged(Event, frozen=True, gc=False):
    """The ledger of an account has new entries; readers go on where they are."""

    account_id: AccountId

    @property
    def latest_only_key(self) -> Hashable | None:
        return (LedgerChanged, self.account_id)


class BasisChanged(Event, frozen=True, gc=False):
    """Lots were counted anew, or further; readers load what they add up to again."""

    @property
    def latest_only_key(self) -> Hashable | None:
        return BasisChanged


class BasisQuestioned(Event, frozen=True, gc=False):
    """A person said something about lots or transfers, so they are to be counted again."""

    @property
    def latest_only_key(self) -> Hashable | None:
        return BasisQuestioned


class RatesLearned(Event, frozen=True, gc=False):
    """Prices of the past that the books lacked are stored, so what lacked them can be counted."""

    @property
    def latest_only_key(self) -> Hashable | None:
        return RatesLearned


class ManualPricesChanged(Event, frozen=True, gc=False):
    """What people say of prices has changed; readers load all of it again."""

    @property
    def latest_only_key(self) -> Hashable | None:
        return ManualPricesChanged


class OrderChanged(Event, frozen=True, gc=False):
    order: Order


class FillReceived(Event, frozen=True, gc=False):
    fill: Fill


class RebalanceChanged(Event, frozen=True, gc=False):
    """A run began, moved on or ended."""

    record: RunRecord

    @property
    def latest_only_key(self) -> Hashable | None:
        return (RebalanceChanged, self.record.id)


class RebalanceProposed(Event, frozen=True, gc=False):
    """A target set drifted too far, or its time came: there is a plan to look at."""

    target_set_id: str
    plan_id: str
    user_id: UserId


class OrderAlarm(StrEnum):
    """What about an order a person must know."""

    LATE_FILL = "late_fill"
    """Filled after it had ended; the position moved."""
    QUARANTINED = "quarantined"
    """It contradicts itself; nothing of it is believed until somebody looks."""
    LOST_INTENT = "lost_intent"
    """The venue has an order with a name of ours that we have no record of."""
    PLACED_AFTER_ALL = "placed_after_all"
    """It was proved absent, and is there."""
    UNRESOLVED = "unresolved"
    """Its fate has been unknown for too long."""
    DRIFT = "drift"
    """Fills and balances of an account disagree."""


class OrderAlarmed(Event, frozen=True, gc=False):
    """``subject`` names the order, or the asset of a drift; ``detail`` is for people."""

    alarm: OrderAlarm
    account_id: AccountId
    subject: str
    detail: str
    is_over: bool = False


class AccountChanged(Event, frozen=True, gc=False):
    account: Account


class AccountRemoved(Event, frozen=True, gc=False):
    account_id: AccountId


class SyncStatusChanged(Event, frozen=True, gc=False):
    status: SyncStatus

    @property
    def latest_only_key(self) -> Hashable | None:
        return (SyncStatusChanged, *self.status.key)


class InstrumentsChanged(Event, frozen=True, gc=False):
    """An exchange listed, delisted, halted or re-stepped something."""

    exchange: ExchangeId

    @property
    def latest_only_key(self) -> Hashable | None:
        return (InstrumentsChanged, self.exchange)


class TaskFaulted(Event, frozen=True, gc=False):
    """A supervised task failed too often and is no longer restarted."""

    task: str
    error: str

    @property
    def latest_only_key(self) -> Hashable | None:
        return (TaskFaulted, self.task)


class TaskRestarted(Event, frozen=True, gc=False):
    """A task that was given up runs again."""

    task: str

    @property
    def latest_only_key(self) -> Hashable | None:
        return (TaskFaulted, self.task)


class AlertRaised(Event, frozen=True, gc=False):
    alert: Alert


class AlertResolved(Event, frozen=True, gc=False):
    alert: Alert
