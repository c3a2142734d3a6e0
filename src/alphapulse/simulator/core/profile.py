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

    client_ids: ClientIds | None = None
    """``None``: as the venue's own documentation has it."""
    client_id_window_ms: int = DAY_MS
    late_s: float = 0.0
    """A REST request that changes something arrives up to so much later than it was sent, also
    after its client gave up. Its signed window is looked at when it arrives."""
    late_share: float = 1.0
    """The share of such requests that are late at all."""
    checks_window: bool = True
    """Off: a signed request is good for ever, so that a late one is executed however late."""
    visibility_lag_ms: int = 0
    """So long an accepted order, and what it traded, is absent from every answer."""
    lie_share: float = 0.0
    """The share of questions about orders that are answered wrongly: an order is denied, a status
    contradicts what happened, a list is incomplete."""


PROFILES = {
    "honest": VenueProfile(),
    "ids_open": VenueProfile(client_ids=ClientIds.OPEN),
    "ids_window": VenueProfile(client_ids=ClientIds.WINDOW),
    "ids_forever": VenueProfile(client_ids=ClientIds.FOREVER),
    "ids_none": VenueProfile(client_ids=ClientIds.NONE),
    "late_requests": VenueProfile(late_s=4.0),
    "later_than_signed": VenueProfile(late_s=60.0, checks_window=False),
    "visibility_lag": VenueProfile(visibility_lag_ms=2_000),
    "liar": VenueProfile(lie_share=0.25),
}
"""Those that proofs name."""
