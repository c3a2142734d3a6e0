"""The way to the venue: real sockets, on which a life asks and the venue of the test answers."""

import asyncio
import pickle
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, cast

from alphapulse import errors
from alphapulse.domain.cash_flow import FlowCursor
from alphapulse.domain.identifiers import AccountId, ExchangeId, Symbol
from alphapulse.errors import ExchangeUnavailable, OrderOutcomeUnknown
from alphapulse.exchanges.port import (
    Capabilities,
    Credentials,
    FillCursor,
    OrderProfile,
    TradingExchange,
)

CAPABILITIES = Capabilities(
    spot=True,
    perpetual=True,
    market_stream=False,
    private_stream=False,
    positions=True,
    fills_without_symbol=True,
    orders_without_symbol=True,
    permissions=False,
    trading=True,
)

# The venue refuses what is older when it arrives, as the real ones do: so the rule that proves an
# order absent holds on a machine of any speed.
PROFILE = OrderProfile(receive_window_s=0.15, visibility_lag_s=0.0, amends_in_place=True)

LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; ``sent_at_s`` is signed with it."""

    method: str
    arguments: tuple[Any, ...] = ()
    named: dict[str, Any] = field(default_factory=dict)
    sent_at_s: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered: a result, or the name and text of an error."""

    result: object = None
    error: tuple[str, str] | None = None


def frame(message: object) -> bytes:
    body = pickle.dumps(message)
    return LENGTH.pack(len(body)) + body


async def read_frame(stream: asyncio.StreamReader) -> Any:
    """The next message. Raises `EOFError` when there is none."""
    (length,) = LENGTH.unpack(await stream.readexactly(LENGTH.size))
    return pickle.loads(await stream.readexactly(length))  # noqa: S301 - our own bytes


@dataclass(frozen=True, slots=True)
class RemoteVenue:
    """Where the venue listens, how long an answer is waited for, and who is told of each step."""

    port: int
    patience_s: float
    reached: Callable[[str, str], None]

    async def ask(self, method: str, *arguments: object, **named: object) -> Any:
        """The result, or what the venue raised; each request has a connection of its own.

        Raises:
            OrderOutcomeUnknown: of an order, no answer.
            ExchangeUnavailable: of everything else.
        """
        self.reached(method, "before")
        try:
            async with asyncio.timeout(self.patience_s):
                reply = await self._exchange(method, Request(method, arguments, named))
        except (OSError, EOFError, TimeoutError) as error:
            lost = OrderOutcomeUnknown if method == "create_order" else ExchangeUnavailable
            raise lost(f"no answer: {error!r}") from error
        self.reached(method, "after")
        if reply.error is not None:
            name, said = reply.error
            raise getattr(errors, name)(said)
        return reply.result

    async def _exchange(self, method: str, request: Request) -> Reply:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(frame(request))
            await writer.drain()
            await asyncio.sleep(0)  # uvloop writes at the end of its turn
            self.reached(method, "in")
            return cast(Reply, await read_frame(reader))
        finally:
            writer.close()


class RemoteExchange:
    """One account of the venue; each method that is not here is asked there under its name."""

    capabilities = CAPABILITIES
    order_profile = PROFILE
    clock_offset_ms = 0
    budget_used = Decimal(0)

    def __init__(self, exchange: ExchangeId, venue: RemoteVenue) -> None:
        self.id = exchange
        self.venue = venue

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        return partial(self.venue.ask, method)

    def order_profile_of(self, symbol: Symbol) -> OrderProfile:
        return PROFILE

    def first_fill_cursors(
        self, symbols: Sequence[Symbol], since: datetime
    ) -> tuple[FillCursor, ...]:
        return (FillCursor(None, "0"),)

    def first_flow_cursors(self, since: datetime) -> tuple[FlowCursor, ...]:
        return ()

    async def watch_market(self, *_: object, on_connected: Callable[[], None]) -> None:
        """Prices are not what this is about."""
        on_connected()
        await asyncio.Event().wait()

    async def watch_private(self, *_: object, on_connected: object) -> None:
        """There is none: all is found by asking."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing is open between two requests."""


class RemoteProvider:
    """Opens exchanges of the one venue of the test."""

    def __init__(self, kind: type[RemoteExchange], venue: RemoteVenue) -> None:
        self._kind = kind
        self._venue = venue

    def is_simulated(self, exchange: ExchangeId) -> bool:
        return True

    def open(
        self, exchange: ExchangeId, account_id: AccountId | None, credentials: Credentials | None
    ) -> TradingExchange:
        return cast(TradingExchange, self._kind(exchange, self._venue))

    def hold(self, exchange: ExchangeId, seconds: float) -> None:
        """Nothing was asked for."""
