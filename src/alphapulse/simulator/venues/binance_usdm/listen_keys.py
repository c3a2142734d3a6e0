"""Listen keys: passwords for an account's stream, which end when nobody renews them."""

import secrets
from dataclasses import dataclass

from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.core.events import CoreEvent, UserStreamEnded
from alphapulse.simulator.venues.binance.market_rows import Row
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.routes import Caller, Private
from alphapulse.simulator.venues.binance_usdm.codes import no_such_listen_key

PATH = "/fapi/v1/listenKey"

LIFE_MS = 60 * 60_000


@dataclass(slots=True)
class ListenKey:
    """``api_key`` made it; without that one it is worth nothing."""

    text: str
    account_id: str
    api_key: str
    until_ms: int


class ListenKeys:
    """At most one for each account. Life is counted on the venue's own clock."""

    def __init__(self, clock: AuthClock) -> None:
        self._clock = clock
        self._by_account: dict[str, ListenKey] = {}

    @property
    def routes(self) -> dict[tuple[str, str], Private]:
        """By method and path; they need a key, and no signature."""
        return {
            ("POST", PATH): self._create,
            ("PUT", PATH): self._renew,
            ("DELETE", PATH): self._end,
        }

    def find(self, text: str) -> ListenKey | None:
        """A key that is alive."""
        found = (key for key in self._by_account.values() if key.text == text)
        key = next(found, None)
        return key if key is not None and self._clock.now_ms() < key.until_ms else None

    def hear(self, event: CoreEvent) -> None:
        """Forget the key of an account whose streams the venue ends."""
        if isinstance(event, UserStreamEnded):
            self._by_account.pop(event.account_id, None)

    def _create(self, _: Params, caller: Caller) -> Row:
        """The account's key if it has one, with a whole new life."""
        key = self._alive(caller)
        if key is None:
            key = ListenKey(secrets.token_hex(32), caller.account.id, caller.key.key, 0)
            self._by_account[caller.account.id] = key
        key.until_ms = self._clock.now_ms() + LIFE_MS
        return {"listenKey": key.text}

    def _renew(self, _: Params, caller: Caller) -> Row:
        key = self._alive(caller)
        if key is None:
            raise no_such_listen_key()
        key.until_ms = self._clock.now_ms() + LIFE_MS
        return {"listenKey": key.text}

    def _end(self, _: Params, caller: Caller) -> Row:
        if self._by_account.pop(caller.account.id, None) is None:
            raise no_such_listen_key()
        return {}

    def _alive(self, caller: Caller) -> ListenKey | None:
        key = self._by_account.get(caller.account.id)
        return None if key is None else self.find(key.text)
