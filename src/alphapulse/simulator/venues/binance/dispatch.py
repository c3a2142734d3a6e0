"""Dispatch: counts, checks and does one request of either of Binance's APIs."""

from collections.abc import Callable, Mapping

from alphapulse.simulator.core.account import ApiKey
from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.venues.binance.codes import BinanceError, bad_key
from alphapulse.simulator.venues.binance.limits import RateLimits
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.routes import Caller, Private, Public

Route = tuple[str, str]
"""Method and path."""


class Dispatch:
    """The routes of one API.

    Args:
        weight: what a request costs, by method, path and parameters.
        uid_weight: what it costs the account, where the API counts so, too.
        public: by path; all are GET.
        writes: they need a key that may trade.
        counted: those of them that count as new orders.
    """

    def __init__(
        self,
        venue: Venue,
        clock: AuthClock,
        limits: RateLimits,
        *,
        weight: Callable[[str, str, Params], int],
        public: Mapping[str, Public],
        reads: Mapping[Route, Private],
        writes: Mapping[Route, Private],
        counted: frozenset[Route],
        uid_weight: Callable[[str, str], int] = lambda _, __: 0,
    ) -> None:
        self._venue = venue
        self._clock = clock
        self._limits = limits
        self._weight = weight
        self._uid_weight = uid_weight
        self._public = public
        self._reads = reads
        self._writes = writes
        self._counted = counted

    def serve(
        self,
        remote: str,
        method: str,
        path: str,
        params: Params,
        key: Callable[[], ApiKey],
        headers: dict[str, str],
    ) -> object:
        """Do one request; ``headers`` are filled with what was counted.

        Args:
            key: tells who signed; called only where a key is needed.

        Raises:
            BinanceError: the venue's refusal.
        """
        now_ms = self._clock.now_ms()
        headers |= self._limits.spend(remote, path, self._weight(method, path, params), now_ms)
        public = self._public.get(path) if method == "GET" else None
        if public is not None:
            return public(params)
        write = self._writes.get((method, path))
        handler = write or self._reads.get((method, path))
        if handler is None:
            raise BinanceError(-1000, f"No such route: {method} {path}", status=404)
        signer = key()
        if not (signer.can_trade if write else signer.can_read):
            raise bad_key()
        account = self._venue.accounts[signer.account_id]
        if write and not account.can_trade:
            raise BinanceError(-2010, "This action is disabled on this account.")
        uid_weight = self._uid_weight(method, path)
        if uid_weight:
            headers |= self._limits.spend_uid(account.id, uid_weight, now_ms)
        if (method, path) in self._counted:
            headers |= self._limits.count_order(account.id, now_ms)
        return handler(params, Caller(signer, account))
