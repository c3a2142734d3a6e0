"""The referee: looks at every send, every acceptance and every commit, and at the end.

It knows the venue's truth; what it finds is a broken promise of ``reliability.md``.
"""

from collections import Counter
from typing import Any

from alphapulse.domain.events import OrderAlarm
from alphapulse.domain.identifiers import ClientOrderId
from alphapulse.domain.intent import Intent, is_our_name
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import Fill, Order, OrderStatus
from alphapulse.domain.trading import Lease, TradingMode
from tests.effects import effects_of
from tests.simulation.disk import Disk, Rows, Tables
from tests.simulation.loop import Violated
from tests.simulation.program import AlarmBus, Program
from tests.simulation.venue import ACCOUNT, EPOCH, OPENING, Venue

_S = OrderStatus

UNCERTAIN = {_S.PREPARED, _S.SENDING, _S.UNKNOWN, _S.CANCEL_PENDING}
ENDED = {_S.FILLED, _S.CANCELED, _S.EXPIRED}


def require(is_so: bool, broken: str) -> None:
    if not is_so:
        raise Violated(broken)


class Referee:
    """Raises `Violated`; whatever step broke a promise is the one that raises.

    ``wanted`` is how many orders people want. ``trace`` is what happened, in its order: equal for
    equal seeds.
    """

    def __init__(self, disk: Disk, bus: AlarmBus, *, wanted: int) -> None:
        self._wanted = wanted
        self._disk = disk
        self._bus = bus
        self.venue: Venue | None = None
        self.trace: list[tuple[object, ...]] = []
        self._sent: Counter[ClientOrderId] = Counter()
        self._accepted: Counter[ClientOrderId] = Counter()

    def note(self, *what: object) -> None:
        """Keep it in the trace."""
        assert self.venue is not None
        self.trace.append((round(self.venue.now_s, 6), *what))

    # While it runs.

    def on_send(self, program: Program, name: ClientOrderId) -> None:
        """A create is about to leave."""
        self.note("send", program.run.name, name)
        self._sent[name] += 1
        require(self._sent[name] == 1, f"{name} is sent a second time")
        intent = self._disk.tables["intents"].get(name)
        order = self._named(self._disk.tables).get(name)
        if intent is None or order is None:
            raise Violated(f"{name} is sent and not durable")
        require(order.status is not _S.PREPARED, f"{name} is sent before its claim is durable")
        lease: Lease | None = self._disk.tables["leases"].get(ACCOUNT)
        has_lease = lease is not None and (lease.holder, lease.fence) == (
            program.run.name,
            intent.fence,
        )
        require(has_lease, f"{name} is sent by one who lost the lease")
        for other in self._named(self._disk.tables).values():
            is_old = other.sent_at is not None and other.sent_at < program.booted_at
            is_doubted = other.key != order.key and other.status.is_uncertain
            if other.symbol == order.symbol and is_doubted and is_old:
                raise Violated(f"{name} is sent while {other.key} of an earlier run is unknown")

    def on_accept(self, order: Order) -> None:
        """The venue has a new order."""
        name = order.client_order_id
        self.note("accept", order.symbol, order.exchange_order_id, name)
        if name is None:
            return
        self._accepted[name] += 1
        require(self._accepted[name] == 1, f"{name} is at the venue twice")
        known = self._named(self._disk.tables).get(name)
        if known is None:
            raise Violated(f"{name} is at the venue and not durable")
        denied = known.status in {_S.PREPARED, _S.WITHDRAWN, _S.REJECTED, _S.NOT_PLACED}
        require(not denied, f"{name} is at the venue and {known.status} here")

    def on_commit(self, before: Tables, after: Tables) -> None:
        """Something became durable."""
        if before["orders"] is not after["orders"]:
            for row_id, order in after["orders"].items():
                known = before["orders"].get(row_id)
                if known is not order:
                    self.note(
                        "order", order.key, order.status, order.filled_quantity, order.quantity
                    )
                    self._judge(known, order, after)
            require(len(self._named(after)) <= self._wanted, "one wish became two orders")
            require(before["orders"].keys() <= after["orders"].keys(), "an order is gone")
        if before["fills"] is not after["fills"]:
            self._judge_fills(before["fills"], after["fills"])
        require(before["intents"].keys() <= after["intents"].keys(), "an intent is gone")

    def _judge(self, known: Order | None, order: Order, after: Tables) -> None:
        name = order.client_order_id
        if known is None:
            is_lost = not order.is_ours and is_our_name(name)
            require(not is_lost, f"{name} is taken for somebody else's")
        else:
            require(order.filled_quantity >= known.filled_quantity, f"{order.key} is filled less")
            ended = known.status.is_final and known.status is not _S.NOT_PLACED
            is_same_end = order.status in {known.status, _S.FILLED}
            require(not ended or is_same_end, f"{order.key}: {known.status} -> {order.status}")
            if known.status is _S.PREPARED and order.status is _S.SENDING:
                self._judge_claim(order, after)
        require(order.status is not _S.QUARANTINED, f"{order.key}: {order.status_reason}")
        self._judge_truth(order)

    def _judge_claim(self, order: Order, after: Tables) -> None:
        modes = {switch.mode for switch in after["switches"].values()}
        require(TradingMode.HALTED not in modes, f"{order.key} is claimed while halted")

    def _judge_truth(self, order: Order) -> None:
        assert self.venue is not None
        truth = self._truth_of(order)
        if truth is None:
            is_at_venue = order.status in ENDED or order.status.is_open or order.filled_quantity
            require(not is_at_venue, f"{order.key} is {order.status} and not at the venue")
            return
        denied = order.status in {_S.PREPARED, _S.WITHDRAWN, _S.REJECTED}
        denied |= order.status is _S.NOT_PLACED and not self.venue.knobs.is_liar
        require(not denied, f"{order.key} is {order.status} and at the venue")
        require(order.filled_quantity <= truth.filled_quantity, f"{order.key} is filled too much")
        if order.status in ENDED:
            require(not truth.status.is_open, f"{order.key} is {order.status} and {truth.status}")

    def _judge_fills(self, before: Rows, after: Rows) -> None:
        assert self.venue is not None
        true = {_key(fill): fill for _, fill in self.venue.fills}
        for key, (_, fill) in after.items():
            if key not in before:
                self.note("fill", *key)
            require(true.get(key) == fill, f"fill {key} is not the venue's")
        require(before.keys() <= after.keys(), "a fill is gone")

    # At the end.

    def is_certain(self) -> bool:
        """Whether no order of ours is between two states any more."""
        return not any(order.status in UNCERTAIN for order in self._disk.tables["orders"].values())

    def is_settled(self) -> bool:
        """Whether books and venue are equal already."""
        return self._difference() is None

    def judge_end(self, programs: list[Program]) -> None:
        """When faults have stopped, and a minute of quiet is over."""
        assert self.venue is not None
        for order in self._disk.tables["orders"].values():
            require(order.status not in UNCERTAIN, f"after the quiet {order.key} is {order.status}")
        difference = self._difference()
        require(difference is None, f"after the quiet: {difference}")
        self._judge_holds()
        for order in self._named(self._disk.tables).values():
            if order.key in self.hidden:
                alarmed = self._bus.has(OrderAlarm.PLACED_AFTER_ALL, order.key)
                require(alarmed, f"{order.key} was taken for absent, and nobody was told")
        for alarm in (OrderAlarm.LOST_INTENT, OrderAlarm.QUARANTINED):
            found = [one.subject for one in self._bus.alarms if one.alarm is alarm]
            require(not found, f"{alarm}: {found}")
        for program in programs:
            require(not program.troubles, f"{program.run.name}: {program.troubles}")

    @property
    def hidden(self) -> set[str]:
        """Names that were NOT_PLACED once and are at the venue."""
        absent = {what[2] for what in self.trace if what[1] == "order" and what[3] == "not_placed"}
        return {str(name) for name in absent if self._accepted[ClientOrderId(str(name))]}

    def _difference(self) -> str | None:
        assert self.venue is not None
        known = list(self._disk.tables["orders"].values())
        for order in known:
            truth = self._truth_of(order)
            if truth is None:
                if not order.status.came_to_nothing:
                    return f"{order.key} is {order.status} and not at the venue"
            elif _shape(order) != _shape(truth):
                return f"{order.key} is {_shape(order)}, at the venue {_shape(truth)}"
        numbers = {(order.symbol, order.exchange_order_id) for order in known}
        names = {order.client_order_id for order in known if order.is_ours}
        for key, placed in self.venue.placed.items():
            # What others placed may come and go between two looks; its fills are read.
            is_known = key in numbers or placed.truth.client_order_id in names
            if not is_known and (placed.truth.client_order_id or placed.truth.status.is_open):
                return f"not known here: {key}"
        return self._difference_of_fills()

    def _difference_of_fills(self) -> str | None:
        assert self.venue is not None
        fills = self._disk.tables["fills"]
        missing = [fill for _, fill in self.venue.fills if _key(fill) not in fills]
        if missing and not self._is_told(missing):
            return f"fills missing: {[_key(fill) for fill in missing]}"
        moved = effects_of([fill for _, fill in fills.values()] + missing)
        for subject, amount in self.venue.totals.items():
            if OPENING.get(subject, ZERO) + moved.get(subject, ZERO) != amount:
                return f"{subject} is {amount} at the venue"
        return None

    def _is_told(self, missing: list[Fill]) -> bool:
        """Fills of others that nothing hinted at: the sweep over all markets finds them within the
        hour. Until then an alarm says that the books are off, if they were open already."""
        is_said = any(one.alarm is OrderAlarm.DRIFT for one in self._bus.alarms)
        opened = min((one.opened_at for one in self._disk.tables["books"].values()), default=EPOCH)
        return all(
            self._is_others(fill) and (is_said or fill.occurred_at < opened) for fill in missing
        )

    def _is_others(self, fill: Fill) -> bool:
        assert self.venue is not None
        placed = self.venue.placed[fill.symbol, fill.exchange_order_id]
        return placed.truth.client_order_id is None

    def _judge_holds(self) -> None:
        """What is held back is what open orders may still take."""
        intents: dict[str, Intent] = self._disk.tables["intents"]
        for order in self._named(self._disk.tables).values():
            truth = self._truth_of(order)
            is_live = truth is not None and truth.status.is_open
            require(order.key in intents, f"{order.key} has no intent")
            require(
                is_live is not order.status.is_final, f"{order.key} holds funds: {order.status}"
            )

    def _truth_of(self, order: Order) -> Order | None:
        assert self.venue is not None
        name = order.client_order_id if order.is_ours else None
        if name is None and order.exchange_order_id is None:
            return None
        placed = self.venue.find(order.symbol, order.exchange_order_id, name)
        return None if placed is None else placed.truth

    @staticmethod
    def _named(tables: Tables) -> dict[str, Order]:
        return {order.key: order for order in tables["orders"].values() if order.is_ours}


def _shape(order: Order) -> tuple[Any, ...]:
    # An order that ended by its fills need not be asked for the price it was amended to.
    price = order.limit_price if order.status.is_open else None
    return (order.status, order.filled_quantity, order.quantity, price)


def _key(fill: Fill) -> tuple[Any, ...]:
    return (fill.account_id, fill.symbol, fill.trade_id)
