"""A transport that answers from a script, for tests of what stands on it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from multidict import CIMultiDict

from alphapulse.domain.clock import Clock
from alphapulse.exchanges.budget import Budgets
from alphapulse.exchanges.ccxt.client import MarketType, Surroundings
from alphapulse.exchanges.ccxt.session import ExchangeSession, MarketCatalog
from alphapulse.exchanges.ccxt.transport import Answer, NoAnswer, Request, Transport
from alphapulse.exchanges.port import Credentials
from alphapulse.exchanges.settings import ExchangesSettings

KEY = Credentials("the-api-key", "the-api-secret", "the-passphrase")

Script = Callable[[Request], Answer | NoAnswer]


def answer(
    body: Any = b"",
    *,
    status: int = 200,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Answer:
    """An answer with that body: bytes as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, "", CIMultiDict({"Content-Type": content_type} | (headers or {})), raw)


class CannedTransport(Transport):
    """Remembers what was sent; answers by path, the longest ending first, else ``default``."""

    def __init__(
        self, paths: dict[str, Answer | NoAnswer | list[Answer]] | None = None, default: Any = None
    ) -> None:
        super().__init__(ExchangesSettings())
        self.paths = dict(paths or {})
        self.default = default if default is not None else answer({}, status=404)
        self.sent: list[Request] = []

    async def send(self, request: Request) -> Answer:
        self.sent.append(request)
        path = urlsplit(request.url).path
        endings = sorted((one for one in self.paths if path.endswith(one)), key=len)
        found = self.paths[endings[-1]] if endings else self.default
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, NoAnswer):
            raise found
        return found

    def sent_to(self, ending: str) -> list[Request]:
        return [one for one in self.sent if urlsplit(one.url).path.endswith(ending)]


class LeapingClock:
    """Whenever it is looked at, a minute has passed: no budget is ever used up."""

    def __init__(self) -> None:
        self._looks = 0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        self._looks += 1
        return 60.0 * self._looks


def make_session(
    transport: Transport,
    clock: Clock,
    *,
    exchange: str = "binance",
    credentials: Credentials | None = KEY,
    budget_clock: Clock | None = None,
) -> ExchangeSession:
    """A session over ``transport`` that would rather refuse than wait for a budget."""
    settings = ExchangesSettings()
    budgets = Budgets(exchange, budget_clock or clock, max_wait_s=0.0)
    around = Surroundings(exchange, settings, transport, budgets, clock)
    return ExchangeSession(around, MarketCatalog(), credentials)


def list_market(session: ExchangeSession, market_type: MarketType, *symbols: str) -> None:
    """Make the session know markets without asking: steps of 0.01, spot or linear perpetual."""
    client = session.client(market_type)

    async def load_markets(_reload: bool, _params: dict[str, str]) -> None:
        client.set_markets([_market(client, symbol) for symbol in symbols])

    client.load_markets = load_markets


def _market(client: Any, symbol: str) -> dict[str, Any]:
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    listed: dict[str, Any] = client.safe_market_structure(
        {
            "id": base + quote,
            "symbol": symbol,
            "base": base,
            "quote": quote,
            "settle": settle or None,
            "baseId": base,
            "quoteId": quote,
            "settleId": settle or None,
            "type": "swap" if settle else "spot",
            "spot": not settle,
            "swap": bool(settle),
            "contract": bool(settle),
            "linear": bool(settle) or None,
            "contractSize": Decimal(1) if settle else None,
            "active": True,
            "precision": {"amount": Decimal("0.00001"), "price": Decimal("0.01")},
        }
    )
    return listed
