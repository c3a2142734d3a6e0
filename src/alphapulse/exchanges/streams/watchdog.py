"""Watchdog: whether a stream still brings data, on the whole and topic by topic.

Measured by the age of data: a half-open socket and a venue that forgot a subscription both answer
pings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import Symbol


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How long each thing may take, in seconds."""

    open_s: float = 10.0
    confirm_s: float = 10.0
    """From the last subscribe request to its confirmation."""
    silence_s: float = 30.0
    """Without data on a whole connection: it is lost. A half-open socket shows in no other way."""
    topic_silence_s: float = 120.0
    """Without data on one subscription while others speak: it is made anew. Longer than the
    connection's limit because a quiet market is no fault."""
    rotate_after_s: float = 23 * 3600.0
    """Venues end a connection after 24 h; we open the next one before that."""
    overlap_s: float = 2.0
    """How long the old connection stays beside its successor: what was sent to it is on its way."""


DEFAULT_LIMITS = StreamLimits()


class Topic:
    """One subscription on the wire; the decoder marks it heard with each frame of it."""

    __slots__ = ("heard", "name", "symbol")

    def __init__(self, name: str, symbol: Symbol) -> None:
        self.name = name
        self.symbol = symbol
        self.heard = False


class Watchdog:
    """How long since each topic spoke, looked at once a second so that a frame costs nothing."""

    def __init__(self, topics: Sequence[Topic], clock: Clock, limits: StreamLimits) -> None:
        self._clock = clock
        self._limits = limits
        self._alive_at_s = clock.monotonic_s()
        self._heard_at_s = dict.fromkeys(topics, self._alive_at_s)

    def look(self) -> float:
        """Note who spoke since the last look; seconds since anybody did."""
        now_s = self._clock.monotonic_s()
        for topic in self._heard_at_s:
            if topic.heard:
                topic.heard = False
                self._heard_at_s[topic] = self._alive_at_s = now_s
        return now_s - self._alive_at_s

    def silent_topics(self) -> tuple[Topic, ...]:
        """Those over the limit; each gets another full limit before it is named again."""
        now_s = self._clock.monotonic_s()
        limit_s = self._limits.topic_silence_s
        silent = tuple(t for t, heard_s in self._heard_at_s.items() if now_s - heard_s > limit_s)
        self._heard_at_s.update(dict.fromkeys(silent, now_s))
        return silent
