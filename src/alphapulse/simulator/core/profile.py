"""Venue profiles: the habits of a venue that a client must not rely on. Chosen, not random."""

from dataclasses import dataclass
from enum import StrEnum

from alphapulse.simulator.core.candles import DAY_MS


class ClientIds(StrEnum):
    """For how long a client order id belongs to one order; a second one is refused meanwhile."""

    OPEN = "open"
    """While the order is open, as on Binance."""
    WINDOW = "window"
    """For ``client_id_window_ms`` after it was placed."""
    FOREVER = "forever"
    """As on Bybit."""
    NONE = "none"
    """Nothing is refused; a look-up finds the latest."""


@dataclass(frozen=True, slots=True)
class VenueProfile:
    """How a venue treats ids, requests and questions. The defaults are an honest venue."""

    client_ids: ClientIds = ClientIds.OPEN
    client_id_window_ms: int = DAY_MS
    late_s: float = 0.0
    """A request that changes something arrives up to so much later than it was sent, also after
    its client gave up. Its signed window is checked when it arrives."""
    late_share: float = 1.0
    """The share of such requests that are late at all."""
    visibility_lag_ms: int = 0
    """So long an accepted order, and what it traded, is absent from every answer."""
    lie_share: float = 0.0
    """The share of questions about orders that are answered wrongly: an order is denied, a status
    contradicts what happened, a list is incomplete."""
