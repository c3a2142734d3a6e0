"""Session Management: whose answer to a refresh was lost may ask for it once more."""

from collections import OrderedDict
from dataclasses import dataclass, field

from alphapulse.domain.clock import Clock

GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class _Rotation:
    successor: str = field(repr=False)
    client: str
    at_s: float


class RecentRotations:
    """What each token of the last 10 s was exchanged for, by the spent token's hash.

    In memory alone: a stored token is a hash, and the answer is the token itself.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rotations: OrderedDict[str, _Rotation] = OrderedDict()

    def add(self, spent_hash: str, successor: str, client: str) -> None:
        """Remember an exchange, and forget those that are too old to be asked for."""
        now_s = self._clock.monotonic_s()
        self._rotations[spent_hash] = _Rotation(successor, client, now_s)
        while now_s - next(iter(self._rotations.values())).at_s > GRACE_S:
            self._rotations.popitem(last=False)

    def successor(self, spent_hash: str, client: str) -> str | None:
        """What the same client got for this token a moment ago."""
        rotation = self._rotations.get(spent_hash)
        if rotation is None or rotation.client != client:
            return None
        if self._clock.monotonic_s() - rotation.at_s > GRACE_S:
            return None
        return rotation.successor
