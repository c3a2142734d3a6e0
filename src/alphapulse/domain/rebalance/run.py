"""Run: the execution of a plan, step by step, from nothing but what is stored. Pure.

`advance` takes the run, its legs and what is known of their orders, and returns them as they are
to be stored, with what to do after that. Storing comes first: a crash in between repeats the same
action under the same key, which the order path knows, so nothing is sent twice. Asked twice, it
answers the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from enum import StrEnum

from alphapulse.domain.identifiers import ExchangeId
from alphapulse.domain.money import EXACT, ZERO, round_down
from alphapulse.domain.order import OrderRequest, OrderStatus, OrderType, TimeInForce
from alphapulse.domain.rebalance.constraints import OnTimeout, Style
from alphapulse.domain.rebalance.plan import Plan
from alphapulse.domain.rebalance.trades import Phase, Trade
from alphapulse.errors import Conflict

ATTEMPTS_MAX = 5
"""An order that was never sent, because the program ended before, is tried again so often."""


class RunStatus(StrEnum):
    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    """By a person. Open orders stay, and time out as ever; nothing new is sent."""
    HALTED = "halted"
    """By the kill switch; otherwise like paused."""
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    """Nothing at all was traded."""
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        return self in {RunStatus.DONE, RunStatus.PARTIAL, RunStatus.FAILED, RunStatus.STOPPED}


class LegStatus(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    """Decided and stored; its order may be on its way, open, or of unknown fate."""
    FILLED = "filled"
    PARTLY = "partly"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        return self not in {LegStatus.WAITING, LegStatus.SENT}


@dataclass(frozen=True, slots=True)
class Run:
    """``is_stopping`` from when a person asked to stop until the last order is settled."""

    id: str
    style: Style
    status: RunStatus = RunStatus.PLANNED
    is_stopping: bool = False


@dataclass(frozen=True, slots=True)
class Leg:
    """One trade of the plan on its way. Quantities are base units.

    ``quantity`` is what the present order is for, ``None`` before it is decided. The sums count the
    orders before it: a limit order that timed out may be followed by one at the market, and one
    that was never sent is tried again, each with the next ``attempt``. ``is_left`` marks one that
    stays in the book while the run goes on.
    """

    run_id: str
    trade: Trade
    status: LegStatus = LegStatus.WAITING
    attempt: int = 0
    is_at_market: bool = False
    """Whatever the style says: its time as a limit order is over."""
    quantity: Decimal | None = None
    sent_at: datetime | None = None
    cancel_asked_at: datetime | None = None
    is_left: bool = False
    filled_before: Decimal = ZERO
    brought_before: Decimal = ZERO
    filled: Decimal = ZERO
    brought: Decimal = ZERO
    reason: str | None = None

    @property
    def seq(self) -> int:
        return self.trade.seq

    @property
    def key(self) -> str:
        """The idempotency key of its order: the same after every restart."""
        return f"rebalance:{self.run_id}:{self.seq}:{self.attempt}"

    @property
    def is_settled(self) -> bool:
        """Nothing more is to be expected of it."""
        return self.status.is_final or self.is_left


@dataclass(frozen=True, slots=True)
class LegOrder:
    """What is known of the order of a leg: ``brought`` is what its fills brought of the asset that
    the trade gets, less fees taken from it. ``reason`` is why it ended, where more is known than
    its status."""

    status: OrderStatus
    filled_quantity: Decimal
    brought: Decimal
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Place this order under this key; when the key is known, that order is the answer."""

    seq: int
    key: str
    exchange: ExchangeId
    request: OrderRequest


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel the order with this key; one that has ended meanwhile is no error."""

    seq: int
    key: str


Action = Send | Cancel


@dataclass(frozen=True, slots=True)
class Step:
    """Store ``run`` and ``legs``, then do ``actions``; look again when an order changes, and not
    later than ``look_again_at``."""

    run: Run
    legs: tuple[Leg, ...]
    actions: tuple[Action, ...]
    look_again_at: datetime | None


def begin(run_id: str, plan: Plan) -> tuple[Run, tuple[Leg, ...]]:
    """A run that is about to start, with a waiting leg for each trade."""
    run = Run(run_id, plan.style, RunStatus.RUNNING)
    return run, tuple(Leg(run_id, trade) for trade in plan.trades)


def pause(run: Run) -> Run:
    """Send nothing new.

    Raises:
        Conflict: it is not running.
    """
    return _moved(run, RunStatus.PAUSED, {RunStatus.RUNNING})


def halt(run: Run) -> Run:
    """The kill switch is on: like a pause.

    Raises:
        Conflict: it has ended.
    """
    return _moved(run, RunStatus.HALTED, {RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.HALTED})


def resume(run: Run) -> Run:
    """Go on where it was paused or halted.

    Raises:
        Conflict: it is neither.
    """
    return _moved(run, RunStatus.RUNNING, {RunStatus.PAUSED, RunStatus.HALTED})


def stop(run: Run) -> Run:
    """Cancel what is open, send nothing more, and end.

    Raises:
        Conflict: it has ended.
    """
    if run.status.is_final:
        raise Conflict(f"the run is {run.status}", status=run.status.value)
    return replace(run, is_stopping=True)


def advance(run: Run, legs: Iterable[Leg], orders: Mapping[str, LegOrder], now: datetime) -> Step:
    """The next step: first what the orders say, then what follows from it.

    One caller at a time for a run, and it does the actions before it asks again.

    Args:
        orders: by key, every order of these legs that the order path knows. A leg that was sent
            and has none is sent again.
    """
    with localcontext(EXACT):
        seen = sorted((_seen(leg, orders, run) for leg in legs), key=lambda leg: leg.seq)
        if run.status.is_final:
            return Step(run, tuple(seen), (), None)
        decided = _decided(run, seen, orders, now)
        timed = tuple(_timed(leg, orders, run, now) for leg in decided)
        actions = tuple(a for leg in timed if (a := _action(leg, orders, run, now)) is not None)
        return Step(_ended(run, timed), timed, actions, _look_again_at(run, timed, now))


def _moved(run: Run, status: RunStatus, allowed: set[RunStatus]) -> Run:
    if run.status not in allowed or (run.is_stopping and status is not RunStatus.HALTED):
        raise Conflict(f"the run is {run.status}", status=run.status.value)
    return replace(run, status=status)


def _seen(leg: Leg, orders: Mapping[str, LegOrder], run: Run) -> Leg:
    """The leg after what its order has become."""
    order = orders.get(leg.key)
    if order is None or leg.status is not LegStatus.SENT:
        return leg
    leg = replace(
        leg,
        filled=leg.filled_before + order.filled_quantity,
        brought=leg.brought_before + order.brought,
    )
    if order.status is OrderStatus.QUARANTINED and run.is_stopping:
        return _closed(leg, order.status.value)
    if not order.status.is_final:
        return leg
    if order.status is OrderStatus.FILLED:
        return _closed(leg)
    if order.status is OrderStatus.WITHDRAWN and leg.attempt + 1 < ATTEMPTS_MAX:
        return _again(leg)
    if leg.cancel_asked_at is not None and _goes_to_market(leg, run):
        return _at_market(leg, order)
    return _closed(leg, _why_ended(leg, order, run))


def _again(leg: Leg) -> Leg:
    """It was certainly never sent, so a new order under a new key doubles nothing."""
    return replace(
        leg,
        attempt=leg.attempt + 1,
        status=LegStatus.WAITING,
        sent_at=None,
        cancel_asked_at=None,
    )


def _goes_to_market(leg: Leg, run: Run) -> bool:
    is_limit = leg.trade.type is OrderType.LIMIT and not leg.is_at_market
    return run.style.on_timeout is OnTimeout.MARKET and is_limit and not run.is_stopping


def _why_ended(leg: Leg, order: LegOrder, run: Run) -> str:
    if leg.cancel_asked_at is None:
        return order.reason or order.status.value
    return "stopped" if run.is_stopping else "timed_out"


def _at_market(leg: Leg, order: LegOrder) -> Leg:
    """What a limit order left, for a market order under a key of its own."""
    assert leg.quantity is not None
    left = round_down(leg.quantity - order.filled_quantity, leg.trade.lot_size)
    if _is_too_small(left, leg.trade):
        return _closed(leg, "below_min_notional")
    return replace(
        leg,
        attempt=leg.attempt + 1,
        is_at_market=True,
        status=LegStatus.WAITING,
        quantity=left,
        sent_at=None,
        cancel_asked_at=None,
        filled_before=leg.filled,
        brought_before=leg.brought,
    )


def _closed(leg: Leg, reason: str | None = None) -> Leg:
    if reason is None:
        return replace(leg, status=LegStatus.FILLED, is_left=False)
    status = LegStatus.PARTLY if leg.filled else LegStatus.FAILED
    return replace(leg, status=status, reason=reason, is_left=False)


def _decided(run: Run, legs: list[Leg], orders: Mapping[str, LegOrder], now: datetime) -> list[Leg]:
    """Which waiting legs go now, and how much of each."""
    if run.is_stopping:
        return [leg if leg.status.is_final or leg.key in orders else _dropped(leg) for leg in legs]
    if run.status is not RunStatus.RUNNING:
        return legs
    in_doubt = {leg.trade.account_id for leg in legs if _is_in_doubt(leg, orders)}
    selling = {
        leg.trade.account_id for leg in legs if leg.trade.phase is Phase.SELL and not leg.is_settled
    }
    return [
        leg
        if leg.status is not LegStatus.WAITING
        or leg.trade.account_id in in_doubt
        or (leg.trade.phase is Phase.BUY and leg.trade.account_id in selling)
        else _going(leg, legs, now)
        for leg in legs
    ]


def _is_in_doubt(leg: Leg, orders: Mapping[str, LegOrder]) -> bool:
    """Its order may or may not exist: until that is known, its account sends nothing more."""
    order = orders.get(leg.key)
    uncertain = order is not None and order.status in {OrderStatus.UNKNOWN, OrderStatus.QUARANTINED}
    return leg.status is LegStatus.SENT and uncertain


def _going(leg: Leg, legs: list[Leg], now: datetime) -> Leg:
    quantity = leg.quantity
    if quantity is None:
        quantity = _affordable(leg.trade, legs)
        if _is_too_small(quantity, leg.trade):
            return _dropped(leg, "below_min_notional" if quantity else "no_proceeds")
    return replace(leg, status=LegStatus.SENT, quantity=quantity, sent_at=now)


def _affordable(trade: Trade, legs: list[Leg]) -> Decimal:
    """A sale as planned; a purchase as far as the money goes that the sales of its account have
    brought, each purchase by the same share."""
    if trade.phase is Phase.SELL:
        return trade.quantity
    account = [leg for leg in legs if leg.trade.account_id == trade.account_id]
    sales = [one for one in account if one.trade.phase is Phase.SELL
             and one.trade.gets == trade.spends]  # fmt: skip
    purchases = [one.trade for one in account if one.trade.phase is Phase.BUY
                 and one.trade.spends == trade.spends]  # fmt: skip
    planned = sum((one.spent for one in purchases), ZERO)
    expected = sum((one.trade.got for one in sales), ZERO)
    brought = sum((one.brought for one in sales), ZERO)
    money = max(ZERO, planned - expected + brought)
    return round_down(trade.quantity * min(Decimal(1), money / planned), trade.lot_size)


def _is_too_small(quantity: Decimal, trade: Trade) -> bool:
    notional = quantity * trade.est_price
    return (
        quantity <= 0
        or quantity < (trade.min_quantity or ZERO)
        or notional < (trade.min_notional or ZERO)
    )


def _dropped(leg: Leg, reason: str = "stopped") -> Leg:
    """One that is not sent, or not again."""
    status = LegStatus.PARTLY if leg.filled else LegStatus.SKIPPED
    return replace(leg, status=status, reason=reason)


def _timed(leg: Leg, orders: Mapping[str, LegOrder], run: Run, now: datetime) -> Leg:
    """The leg after its time is over: to be canceled, or left."""
    order = orders.get(leg.key)
    if leg.status is not LegStatus.SENT or order is None or not order.status.is_open:
        return leg
    if run.is_stopping:
        return _asked(replace(leg, is_left=False), run, now)
    is_late = leg.sent_at is not None and now >= leg.sent_at + _timeout(run)
    if not is_late or leg.is_left:
        return leg
    if run.style.on_timeout is OnTimeout.LEAVE and leg.cancel_asked_at is None:
        return replace(leg, is_left=True)
    return _asked(leg, run, now)


def _asked(leg: Leg, run: Run, now: datetime) -> Leg:
    """Asked again after another time-out: the first request may have been lost in a crash."""
    asked = leg.cancel_asked_at
    if asked is not None and now < asked + _timeout(run):
        return leg
    return replace(leg, cancel_asked_at=now)


def _action(leg: Leg, orders: Mapping[str, LegOrder], run: Run, now: datetime) -> Action | None:
    if leg.status is not LegStatus.SENT:
        return None
    if leg.key not in orders:
        return _send(leg, run) if run.status is RunStatus.RUNNING else None
    return Cancel(leg.seq, leg.key) if leg.cancel_asked_at == now else None


def _send(leg: Leg, run: Run) -> Send:
    trade = leg.trade
    is_limit = trade.type is OrderType.LIMIT and not leg.is_at_market
    request = OrderRequest(
        account_id=trade.account_id,
        symbol=trade.symbol,
        side=trade.side,
        type=OrderType.LIMIT if is_limit else OrderType.MARKET,
        quantity=leg.quantity,
        limit_price=trade.limit_price if is_limit else None,
        time_in_force=TimeInForce.GTC if is_limit else None,
        post_only=run.style.post_only and is_limit,
    )
    return Send(leg.seq, leg.key, trade.exchange, request)


def _ended(run: Run, legs: tuple[Leg, ...]) -> Run:
    if not all(leg.is_settled for leg in legs):
        return run
    if run.is_stopping:
        return replace(run, status=RunStatus.STOPPED)
    if all(leg.status is LegStatus.FILLED for leg in legs):
        return replace(run, status=RunStatus.DONE)
    has_traded = any(leg.filled or leg.is_left for leg in legs)
    return replace(run, status=RunStatus.PARTIAL if has_traded else RunStatus.FAILED)


def _look_again_at(run: Run, legs: tuple[Leg, ...], now: datetime) -> datetime | None:
    """The next moment at which an order times out; a change of an order comes by itself."""
    due = [
        since + _timeout(run)
        for leg in legs
        if not leg.is_settled and (since := leg.cancel_asked_at or leg.sent_at) is not None
    ]
    return min((moment for moment in due if moment > now), default=None)


def _timeout(run: Run) -> timedelta:
    return timedelta(seconds=run.style.step_timeout_s)
