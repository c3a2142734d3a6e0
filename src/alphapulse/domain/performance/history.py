"""History: net worth over time, cut into the stretches between two known values.

Where in a stretch its flow is counted: what came in at the start, what went out at the end, so that
the gain of a stretch is divided by all the money that could have made it. That is exact where the
value is known right before a deposit, or right after a withdrawal. Elsewhere the growth told lies
between that of the whole stretch and that of its part with more money in, however large the flow.

Source: the rule is Portfolio Performance's, ``1 + r = (MVE + CFout) / (MVB + CFin)``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.performance.figures import Inputs, Reason, Unmeasurable, rounded

_ONE = Decimal(1)

# A product of thousands of quotients, at 60 digits, is right in these; so what came back to where
# it was is seen to be there.
_SURE = Context(prec=40)


class Point(NamedTuple):
    """Net worth at a moment, in the one currency of its series."""

    at: datetime
    value: Decimal | None
    """After ``flow``; ``None`` is unknown."""
    flow: Decimal | None = ZERO
    """Paid in from outside, less taken out, since the point before; ``None`` is an unknown one.

    The first point's belongs to the time before the series, and is not looked at.
    """
    is_gap: bool = False
    """Nobody watched since the point before."""


class Flow(NamedTuple):
    """Money that crossed the border after ``after`` and not later than ``at``."""

    after: datetime
    at: datetime
    amount: Decimal | None

    def known(self) -> Decimal:
        """Raises:
        Unmeasurable: nobody knows what it was worth.
        """
        if self.amount is None:
            detail = f"a flow before {self.at:%Y-%m-%d %H:%M} has no known value"
            raise Unmeasurable(Reason.UNKNOWN_FLOW, detail)
        return self.amount


class Level(NamedTuple):
    """Of the index: what one unit of money, there at the start, has become, flows apart."""

    at: datetime
    level: Decimal


class Stretch(NamedTuple):
    """From one known value to the next."""

    started_at: datetime
    start: Decimal
    ended_at: datetime
    end: Decimal
    flows: tuple[Flow, ...]
    """More than one only where values between were unknown."""
    is_gap: bool

    @property
    def growth(self) -> Decimal:
        """What one unit of money became.

        Raises:
            Unmeasurable: a flow without a value or in a gap, or no capital.
        """
        flow = net(self.flows)
        if self.flows and self.is_gap:
            detail = f"value unknown at the flow of {self.flows[0].at:%Y-%m-%d %H:%M}"
            raise Unmeasurable(Reason.UNKNOWN_AT_FLOW, detail)
        base = EXACT.add(self.start, max(flow, ZERO))
        result = EXACT.subtract(self.end, min(flow, ZERO))
        if base == result == 0:
            return _ONE
        if base <= 0 or result < 0:
            detail = f"no capital before {self.ended_at:%Y-%m-%d %H:%M}"
            raise Unmeasurable(Reason.NO_CAPITAL, detail)
        return EXACT.divide(result, base)


@dataclass(frozen=True)
class History:
    """A series from its first known value with capital to its last known value."""

    stretches: tuple[Stretch, ...]
    inputs: Inputs

    @classmethod
    def of(cls, points: Sequence[Point]) -> "History":
        """Read a series.

        Raises:
            ValueError: the points are not in the order of time.
        """
        if any(left.at >= right.at for left, right in pairwise(points)):
            raise ValueError("points must be in the order of time, no two of one moment")
        used = points[_first(points) : _last(points) + 1]
        stretches = tuple(_stretches(used))
        return cls(stretches, _inputs(used, stretches))

    @property
    def ends(self) -> tuple[datetime, datetime]:
        """Start and end.

        Raises:
            Unmeasurable: no two known values.
        """
        if not self.stretches:
            raise Unmeasurable(Reason.TOO_FEW_POINTS, "two known values with capital are needed")
        return self.stretches[0].started_at, self.stretches[-1].ended_at

    @property
    def span(self) -> timedelta:
        """From start to end.

        Raises:
            Unmeasurable: no two known values.
        """
        started_at, ended_at = self.ends
        return ended_at - started_at

    @property
    def flows(self) -> tuple[Flow, ...]:
        return tuple(flow for stretch in self.stretches for flow in stretch.flows)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The index at every known value; 1 at the start.

        Raises:
            Unmeasurable: no two known values, or a stretch without a growth.
        """
        growth = _ONE
        levels = [Level(self.ends[0], growth)]
        for stretch in self.stretches:
            growth = EXACT.multiply(growth, stretch.growth)
            levels.append(Level(stretch.ended_at, _SURE.plus(growth)))
        return tuple(levels)

    def require_watched(self, gap_share_max: Decimal) -> None:
        """What happens in a gap is not seen, so neither is its risk.

        Raises:
            Unmeasurable: gaps are more than a share of the time.
        """
        share = self.inputs.gap_share
        if share is not None and share > gap_share_max:
            detail = f"{share:.1%} of the time is gaps, {gap_share_max:.1%} is allowed"
            raise Unmeasurable(Reason.TOO_MANY_GAPS, detail)


def net(flows: Sequence[Flow]) -> Decimal:
    """Their sum.

    Raises:
        Unmeasurable: one has no known value.
    """
    return total([flow.known() for flow in flows])


def ratio(part: timedelta, whole: timedelta) -> Decimal:
    """How often ``whole`` fits into ``part``."""
    microsecond = timedelta(microseconds=1)
    return EXACT.divide(Decimal(part // microsecond), Decimal(whole // microsecond))


def _first(points: Sequence[Point]) -> int:
    """The first known value that is something, or that something is paid in to."""
    for index, (point, following) in enumerate(pairwise(points)):
        if point.value is not None and (point.value or following.flow != 0 or following.value):
            return index
    return len(points)


def _last(points: Sequence[Point]) -> int:
    known = (index for index in reversed(range(len(points))) if points[index].value is not None)
    return next(known, -1)


def _stretches(points: Sequence[Point]) -> Iterator[Stretch]:
    start = None
    flows: list[Flow] = []
    is_gap = False
    for before, point in pairwise(points):
        if before.value is not None:
            start, flows, is_gap = (before.at, before.value), [], False
        assert start is not None, "a history begins with a known value"
        if point.flow != 0:
            flows.append(Flow(before.at, point.at, point.flow))
        is_gap = is_gap or point.is_gap or point.value is None
        if point.value is not None:
            yield Stretch(*start, point.at, point.value, tuple(flows), is_gap)


def _inputs(points: Sequence[Point], stretches: tuple[Stretch, ...]) -> Inputs:
    flows = [flow for stretch in stretches for flow in stretch.flows]
    gaps = [stretch for stretch in stretches if stretch.is_gap]
    return Inputs(
        started_at=stretches[0].started_at if stretches else None,
        ended_at=stretches[-1].ended_at if stretches else None,
        points=len(points),
        unknown_points=sum(point.value is None for point in points),
        gaps=len(gaps),
        gap_share=rounded(ratio(_time(gaps), _time(stretches))) if stretches else None,
        flows=len(flows),
        net_flow=None if any(flow.amount is None for flow in flows) else net(flows),
    )


def _time(stretches: Sequence[Stretch]) -> timedelta:
    return sum((stretch.ended_at - stretch.started_at for stretch in stretches), timedelta())
