"""Stream memory: what one exchange's streams keep over a reconnect, and what they count."""

from collections import deque
from dataclasses import dataclass, field

import msgspec
from loguru import logger

from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.market import Timeframe

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What bytes that are no JSON, not what they claim to be, or nested without end make a decoder
raise."""

# A rotation delivers the last candle twice and, in the worst case, a few late ones out of order.
CLOSED_KEPT = 16


@dataclass(slots=True)
class StreamCounts:
    """Since the memory was made. Anything but ``connects`` and ``renewed`` says a venue erred."""

    connects: int = 0
    renewed: int = 0
    """Subscriptions that fell silent and were made anew."""
    malformed: int = 0
    """Frames that could not be read as what they claim to be."""
    unknown: int = 0
    """Frames of a kind or a symbol nobody asked for."""
    stale: int = 0
    """Frames that came twice, or after a newer one."""
    missing: int = 0
    """Gaps in a numbered sequence."""


@dataclass(slots=True)
class StreamMemory:
    """Give the same one to every `watch` of an exchange: a closed candle is handed out once."""

    exchange: ExchangeId
    counts: StreamCounts = field(default_factory=StreamCounts)
    _closed: dict[tuple[Symbol, Timeframe], deque[int]] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)

    def is_closed(self, symbol: Symbol, timeframe: Timeframe, open_ms: int) -> bool:
        """Whether the candle that opened then was handed out closed, or is older than any kept."""
        known = self._closed.get((symbol, timeframe))
        return known is not None and (
            open_ms in known or (len(known) == CLOSED_KEPT and open_ms < known[0])
        )

    def close(self, symbol: Symbol, timeframe: Timeframe, open_ms: int) -> None:
        """Remember that the candle was handed out closed."""
        self._closed.setdefault((symbol, timeframe), deque(maxlen=CLOSED_KEPT)).append(open_ms)

    def note_malformed(self, reason: str) -> None:
        """Count a frame that cannot be read; the first says so in the log."""
        self.counts.malformed += 1
        self._say_once("stream frame cannot be read", reason=reason)

    def note_unknown(self, frame: bytes) -> None:
        """Count a frame of no kind we know; the first says so in the log."""
        self.counts.unknown += 1
        self._say_once(
            "stream frame of an unknown kind", frame=frame[:200].decode(errors="replace")
        )

    def note_missing(self, topic: str) -> None:
        """Count a gap; the first says so in the log."""
        self.counts.missing += 1
        self._say_once("stream lost a message", topic=topic)

    def _say_once(self, message: str, **facts: str) -> None:
        if message not in self._said:
            self._said.add(message)
            logger.bind(exchange=self.exchange, **facts).warning(message)
