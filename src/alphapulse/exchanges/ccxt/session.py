"""Session: the clients of one account, its clock offset, and the edge where calls become ours.

Every call has a total time limit and raises errors of `alphapulse.errors` only. The instruments
CCXT needs to name anything are loaded once per exchange and shared by all accounts on it.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from alphapulse.domain.clock import Clock
from alphapulse.errors import ClockSkewed, ExchangeUnavailable, OrderOutcomeUnknown
from alphapulse.exchanges.ccxt import errors, loading
from alphapulse.exchanges.ccxt.client import (
    BREAKS,
    Attempt,
    MarketType,
    Surroundings,
    make_client,
    purpose,
)
from alphapulse.exchanges.ccxt.errors import Intent
from alphapulse.exchanges.port import Credentials
from alphapulse.exchanges.venues import profile
from alphapulse.observability.metrics import EXCHANGE_REQUESTS

T = TypeVar("T")

# An odd number: the median is one of them, and one slow answer does not move it.
CLOCK_PROBES = 5

# What `load_markets` fills in an instance, in CCXT 4.5.90.
_MARKET_FIELDS = (
    "markets",
    "markets_by_id",
    "symbols",
    "ids",
    "currencies",
    "currencies_by_id",
    "baseCurrencies",
    "quoteCurrencies",
    "codes",
)


@dataclass(slots=True)
class _Listing:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    fields: dict[str, Any] | None = None
    version: int = 0


class MarketCatalog:
    """The markets of one exchange, loaded once and lent to every instance.

    Binance's list alone is 17 MB; ten accounts must not load it ten times.
    """

    def __init__(self) -> None:
        self._listings: dict[MarketType, _Listing] = {}

    async def lend(self, market_type: MarketType, client: Any, *, reload: bool = False) -> None:
        """Give ``client`` the newest list, loading it through this client when there is none."""
        listing = self._listings.setdefault(market_type, _Listing())
        seen = listing.version
        async with listing.lock:
            # Whoever waited for another's reload has what it came for.
            if listing.fields is None or (reload and listing.version == seen):
                await client.load_markets(True, dict(profile(client.id).listing_params))
                listing.fields = _market_fields(client)
                listing.version += 1
        if client.markets is not listing.fields["markets"]:
            _set_fields(client, listing.fields)


def _market_fields(client: Any) -> dict[str, Any]:
    return {name: getattr(client, name, None) for name in _MARKET_FIELDS}


def _set_fields(client: Any, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        setattr(client, name, value)


class ExchangeSession:
    """What an adapter stands on. Belongs to the loop it is used on; `close` leaves nothing."""

    def __init__(
        self, around: Surroundings, catalog: MarketCatalog, credentials: Credentials | None
    ) -> None:
        self._around = around
        self._catalog = catalog
        self._credentials = credentials
        self._clients: dict[MarketType, Any] = {}
        self._offset_ms: int | None = None

    @property
    def clock_offset_ms(self) -> int | None:
        return self._offset_ms

    @property
    def budget_used(self) -> Decimal:
        return self._around.budgets.used

    @property
    def credentials(self) -> Credentials | None:
        return self._credentials

    @property
    def clock(self) -> Clock:
        """Our clock."""
        return self._around.clock

    def now(self) -> datetime:
        """Our time."""
        return self._around.clock.now()

    def venue_now(self) -> datetime:
        """The venue's clock, as last measured; ours before."""
        return self.now() + timedelta(milliseconds=self._offset_ms or 0)

    def address(self, url: str) -> str:
        """Where a venue's URL really is; for streams that are not CCXT's."""
        return self._around.settings.address(self._around.exchange, url)

    def client(self, market_type: MarketType) -> Any:
        """The REST instance of that market type; call it through `call` only."""
        if market_type not in self._clients:
            self._clients[market_type] = self._made(market_type)
        return self._clients[market_type]

    async def pro_client(self, market_type: MarketType, layer: type | None = None) -> Any:
        """A new WebSocket instance that knows the markets; the caller closes it.

        ``layer`` is laid over its class; see `make_client`.
        """
        client = self._made(market_type, pro=True, layer=layer)
        _set_fields(client, _market_fields(await self.loaded(market_type)))
        return client

    async def loaded(self, market_type: MarketType) -> Any:
        """The REST instance with its markets."""

        async def itself(client: Any) -> Any:
            return client

        return await self.call(market_type, itself)

    async def call(
        self,
        market_type: MarketType,
        make: Callable[[Any], Awaitable[T]],
        *,
        intent: Intent = Intent.READ,
        list_is_good: bool = False,
        attempt: Attempt | None = None,
    ) -> T:
        """Run CCXT calls on the instance of that market type, markets loaded.

        A read that the venue refuses for our clock is tried once more, with its clock measured
        anew; a write never is. ``attempt`` counts what was sent.

        Raises:
            AlphaPulseError: what `errors` makes of the failure, and nothing else.
        """

        async def with_markets(client: Any) -> T:
            with purpose(Intent.READ, attempt=attempt):
                await self._catalog.lend(market_type, client)
            with purpose(intent, list_is_good=list_is_good, attempt=attempt):
                return await make(client)

        try:
            return await self._limited(market_type, with_markets, intent)
        except ClockSkewed:
            if intent.is_write:
                raise
        await self.measure_clock(market_type)
        return await self._limited(market_type, with_markets, intent)

    async def reload_markets(self, market_type: MarketType) -> Any:
        """The instance with its markets asked for anew."""

        async def reload(client: Any) -> Any:
            await self._catalog.lend(market_type, client, reload=True)
            return client

        return await self._limited(market_type, reload, Intent.READ)

    async def measure_clock(self, market_type: MarketType = MarketType.SPOT) -> int:
        """Venue clock minus ours in ms: the median of several probes, used for signing."""
        offsets = [
            await self._limited(market_type, self._probe, Intent.READ) for _ in range(CLOCK_PROBES)
        ]
        self._offset_ms = round(statistics.median(offsets))
        for client in self._clients.values():
            client.options["timeDifference"] = -self._offset_ms
        return self._offset_ms

    async def _probe(self, client: Any) -> float:
        sent_ms = self.now().timestamp() * 1000
        venue_ms = await client.fetch_time()
        if not isinstance(venue_ms, int):
            raise ExchangeUnavailable("broken answer", exchange=self._around.exchange)
        # The venue read its clock about half way.
        return venue_ms - (sent_ms + self.now().timestamp() * 1000) / 2

    async def _limited(
        self, market_type: MarketType, make: Callable[[Any], Awaitable[T]], intent: Intent
    ) -> T:
        client = self.client(market_type)
        exchange = self._around.exchange
        try:
            async with asyncio.timeout(self._around.settings.call_timeout_s):
                answer = await make(client)
        except (loading.base_error(), *BREAKS) as raised:
            error = errors.of_local(raised, intent=intent, exchange=exchange)
        except TimeoutError:
            kind = OrderOutcomeUnknown if intent.is_write else ExchangeUnavailable
            error = kind("no answer in time", exchange=exchange)
        else:
            EXCHANGE_REQUESTS.labels(exchange, "ok").inc()
            return answer
        EXCHANGE_REQUESTS.labels(exchange, error.code).inc()
        # Outside the handler: CCXT's own text, which holds addresses, must not travel as context.
        raise error

    def _made(
        self, market_type: MarketType, *, pro: bool = False, layer: type | None = None
    ) -> Any:
        client = make_client(self._around, market_type, self._credentials, pro=pro, layer=layer)
        client.options["timeDifference"] = -(self._offset_ms or 0)
        return client

    async def close(self) -> None:
        self._clients.clear()
        await self._around.transport.close()


def moment_of_ms(milliseconds: int) -> datetime:
    """Aware UTC of a venue's time stamp."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def ms_of(moment: datetime) -> int:
    """A venue's time stamp of a moment."""
    return round(moment.timestamp() * 1000)
