"""Knobs: what one seed's world is like, and how bad it gets.

Each fault is off in about half of the seeds (a swarm), so that no fault hides behind another.
"""

from dataclasses import dataclass
from random import Random

from alphapulse.exchanges.port import IdUniqueness, OrderProfile
from alphapulse.pipeline.execution.settings import ExecutionSettings

CLOCK_ERROR_S = 2.0


@dataclass(frozen=True, slots=True)
class Knobs:
    """Probabilities are 0..1 for each chance to go wrong, durations in virtual seconds."""

    # The venue.
    uniqueness: IdUniqueness
    receive_window_s: float | None
    late_arrival_s: float
    lag_s: float
    fills_without_symbol: bool
    amends_in_place: bool
    is_perpetual: bool
    is_liar: bool
    names_in_fills: bool
    # Sends.
    lost_request: float
    lost_answer: float
    broken_answer: float
    refused: float
    not_sent: float
    late: float
    # Reads and streams.
    failed_read: float
    slow: float
    stream_lost: float
    stream_doubled: float
    stream_reordered: float
    outages: int
    ambush: float
    bans: int
    # The disk.
    slow_commit: float
    failed_commit: float
    unheard_commit: float
    full_disk: bool
    # The program.
    crashes: int
    stops: int
    is_doubled: bool
    is_on_two_machines: bool
    skew_s: float
    # The people.
    orders: int
    double_post: float
    cancel: float
    amend: float
    fill: float
    self_cancel: float
    external: int
    halt: float
    storm_s: float

    @property
    def profile(self) -> OrderProfile:
        return OrderProfile(
            id_uniqueness=self.uniqueness,
            receive_window_s=self.receive_window_s,
            late_arrival_s=self.late_arrival_s,
            visibility_lag_s=5.0,
            amends_in_place=self.amends_in_place,
        )

    @property
    def quiet_s(self) -> float:
        """In which everything must become known: a minute, and longer only where the venue or a
        lease that nobody gives back makes us wait by design."""
        settings = ExecutionSettings()
        doubt_s = settings.doubt(self.profile).total_seconds()
        beyond_s = max(0.0, doubt_s - 12.0)
        lease_s = 1.5 * settings.lease_s if self.is_on_two_machines else 0.0
        return 60.0 + beyond_s + lease_s


def draw(random: Random) -> Knobs:
    """The world of a seed."""

    def maybe(most: float) -> float:
        return random.random() * most if random.random() < 0.5 else 0.0

    def times(most: int) -> int:
        return random.randint(1, most) if random.random() < 0.5 else 0

    return Knobs(
        uniqueness=random.choice([IdUniqueness.OPEN, IdUniqueness.FOREVER, IdUniqueness.NONE]),
        receive_window_s=random.choice([5.0, None]),
        late_arrival_s=random.choice([5.0, 30.0, 60.0]),
        lag_s=maybe(5.0),
        fills_without_symbol=random.random() < 0.5,
        amends_in_place=random.random() < 0.8,
        is_perpetual=random.random() < 0.4,
        is_liar=random.random() < 0.15,
        names_in_fills=random.random() < 0.5,
        lost_request=maybe(0.5),
        lost_answer=maybe(0.5),
        broken_answer=maybe(0.4),
        refused=maybe(0.3),
        not_sent=maybe(0.3),
        late=maybe(0.8),
        failed_read=maybe(0.4),
        slow=maybe(0.5),
        stream_lost=maybe(0.4),
        stream_doubled=maybe(0.3),
        stream_reordered=maybe(0.4),
        outages=times(2),
        ambush=maybe(0.4),
        bans=times(1),
        slow_commit=maybe(0.2),
        failed_commit=maybe(0.15),
        unheard_commit=maybe(0.1),
        full_disk=random.random() < 0.1,
        crashes=times(3),
        stops=times(1),
        is_doubled=random.random() < 0.2,
        is_on_two_machines=random.random() < 0.15,
        skew_s=random.uniform(-1.0, 1.0),
        orders=random.randint(2, 5),
        double_post=maybe(0.8),
        cancel=maybe(0.6),
        amend=maybe(1.0),
        fill=maybe(1.0),
        self_cancel=maybe(0.3),
        external=times(2),
        halt=0.1 if random.random() < 0.2 else 0.0,
        storm_s=random.uniform(5.0, 30.0),
    )
