"""CCXT client: one instance for one market type of one account, over the guarded transport.

CCXT signs, names and parses; sending, budgets, the verdict on an answer and the exactness of
numbers are ours. Inside an instance every address is the venue's own; the transport alone knows
where it really goes, so CCXT's error tables, which compare addresses, stay whole.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from alphapulse.domain.clock import Clock
from alphapulse.exchanges.budget import Budgets, RateBudget
from alphapulse.exchanges.ccxt import errors, loading
from alphapulse.exchanges.ccxt.errors import Intent
from alphapulse.exchanges.ccxt.transport import Answer, NoAnswer, Request, Transport
from alphapulse.exchanges.port import Credentials
from alphapulse.exchanges.settings import ExchangesSettings
from alphapulse.exchanges.venues import Limit, VenueProfile, profile

# Binance and Bybit refuse a request that arrives later than this after it was signed.
RECEIVE_WINDOW_MS = 5000


class MarketType(StrEnum):
    """CCXT's word for a kind of market; each has an instance of its own."""

    SPOT = "spot"
    SWAP = "swap"


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why the requests of the current task are sent."""

    intent: Intent = Intent.READ
    list_is_good: bool = False
    """An empty list may be the whole truth: nothing is open, nothing was traded."""


READING = Purpose()

_purpose: ContextVar[Purpose] = ContextVar("purpose", default=READING)


@contextmanager
def purpose(intent: Intent, *, list_is_good: bool = False) -> Iterator[None]:
    """Say what the requests inside are for; it decides what their failure means."""
    token = _purpose.set(Purpose(intent, list_is_good))
    try:
        yield
    finally:
        _purpose.reset(token)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every instance of one account shares."""

    exchange: str
    settings: ExchangesSettings
    transport: Transport
    budgets: Budgets
    clock: Clock


def make_client(
    around: Surroundings,
    market_type: MarketType,
    credentials: Credentials | None,
    *,
    pro: bool = False,
    layer: type | None = None,
) -> Any:
    """A CCXT instance, ready to use, whose REST requests all go through our transport.

    Args:
        around: of the account.
        market_type: what ``defaultType`` will be, and which class on venues with several.
        credentials: ``None`` for the public side.
        pro: with the WebSocket methods. It opens sockets of its own: ``await client.close()``.
        layer: a mixin to lay over the class, where a stream takes messages in CCXT's place.
    """
    ccxt_id = class_id(around.exchange, market_type)
    client = _guarded(ccxt_id, pro=pro, layer=layer)(_config(ccxt_id, market_type, credentials))
    client.attach(around, profile(ccxt_id), credentials)
    return client


def class_id(exchange: str, market_type: MarketType) -> str:
    """CCXT's class for a market type; only Binance has several."""
    if exchange == "binance" and market_type is MarketType.SWAP:
        return "binanceusdm"
    return exchange


class Guarded:
    """Laid over a CCXT class: replaces how it throttles, sends, decodes and fails.

    A mixin because CCXT calls these methods on itself, deep inside its own.
    """

    number = Decimal
    """What CCXT makes of every number: exact, for the transport hands it text."""

    _around: Surroundings
    _budget: RateBudget
    _profile: VenueProfile
    _secrets: tuple[str, ...]

    def attach(
        self: Any, around: Surroundings, venue: VenueProfile, credentials: Credentials | None
    ) -> None:
        self._around = around
        self._profile = venue
        self._budget = around.budgets.of(self.id, venue.limit or _ccxt_limit(self.rateLimit))
        self._secrets = (
            ()
            if credentials is None
            else (credentials.api_secret, credentials.api_key, credentials.password or "")
        )

    # CCXT reads numbers back through these three, and for a Decimal its own answer nothing: fees
    # vanished from fills.
    @staticmethod
    def safe_string(source: Any, key: Any, default: str | None = None) -> str | None:
        found = _text(source, key)
        return default if found is None else found

    @staticmethod
    def safe_string_2(source: Any, one: Any, two: Any, default: str | None = None) -> str | None:
        return Guarded.safe_string_n(source, (one, two), default)

    @staticmethod
    def safe_string_n(source: Any, keys: Any, default: str | None = None) -> str | None:
        for key in keys:
            found = _text(source, key)
            if found is not None:
                return found
        return default

    def milliseconds(self) -> int:
        return int(self._around.clock.now().timestamp() * 1000)

    async def throttle(self, cost: float | None = None) -> None:
        """Called by CCXT before it signs, so that waiting does not age the signature."""
        await self._budget.spend(
            float(1 if cost is None else cost), urgent=_purpose.get().intent.is_write
        )

    async def fetch(
        self: Any, url: str, method: str = "GET", headers: Any = None, body: Any = None
    ) -> Any:
        around: Surroundings = self._around
        intent = _purpose.get().intent
        sent_headers = self.prepare_request_headers(headers)
        address = around.settings.address(around.exchange, url)
        try:
            answer = await around.transport.send(Request(method, address, sent_headers, body))
        except NoAnswer as silence:
            raise errors.of_silence(silence, intent=intent, exchange=around.exchange) from None
        self._budget.observe(answer.headers)
        payload = answer.json()
        good = answer.status < 300 and self._profile.accepts(
            urlsplit(url).path, payload, list_is_good=_purpose.get().list_is_good
        )
        self._refuse_by_rule(answer, payload, intent)
        # What says nothing at all is no refusal either, though CCXT reads one into it.
        if good or answer.status >= 300 or self._profile.says_something(payload):
            self._refuse_by_class(answer, payload, intent, url, method, sent_headers, body)
        if not good:
            raise errors.of_broken_answer(answer, intent=intent, exchange=around.exchange)
        return payload

    def _refuse_by_rule(self, answer: Answer, payload: Any, intent: Intent) -> None:
        around = self._around
        rule, code, message = self._profile.rule(answer.status, payload)
        if rule is None:
            return
        facts: dict[str, object] = {"exchange": around.exchange}
        wait_s = errors.wait_s(rule.wait_s, answer, message, around.clock.now())
        if wait_s > 0:
            around.budgets.hold(wait_s)
            facts["retry_after_s"] = round(wait_s, 3)
        message = errors.without_secrets(message, self._secrets)
        raise errors.of_rule(rule, answer, code, message, intent=intent, **facts)

    def _refuse_by_class(
        self: Any, answer: Answer, payload: Any, intent: Intent, url: str, method: str,
        headers: Any, body: Any,
    ) -> None:  # fmt: skip
        raised = self._ccxt_verdict(answer, payload, url, method, headers, body)
        if raised is None:
            return
        _, code, message = self._profile.rule(answer.status, payload)
        error = errors.of_class(
            raised,
            answer,
            code,
            errors.without_secrets(message or _body_text(answer), self._secrets),
            intent=intent,
            exchange=self._around.exchange,
        )
        if error.code == "exchange_rate_limited":
            self._around.budgets.hold(errors.wait_s(1.0, answer, message, self._around.clock.now()))
        raise error

    def _ccxt_verdict(
        self: Any, answer: Answer, payload: Any, url: str, method: str, headers: Any, body: Any
    ) -> Exception | None:
        arguments = (answer.status, answer.reason, url, method)
        try:
            self.handle_errors(
                *arguments, dict(answer.headers), answer.text, payload, headers, body
            )
            self.handle_http_status_code(*arguments, answer.text)
        except loading.base_error() as raised:
            return raised
        except BREAKS:
            return None  # it tripped over the body: the check of its shape says so
        return None

    def client(self: Any, url: str) -> Any:
        """CCXT's WebSocket of that address, opened where the settings say."""
        around: Surroundings = self._around
        return super().client(around.settings.address(around.exchange, url))  # type: ignore[misc]


# What CCXT's parsers raise over a body they did not expect.
BREAKS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)

_classes: dict[tuple[str, bool, type | None], Callable[[dict[str, Any]], Any]] = {}


def _guarded(ccxt_id: str, *, pro: bool, layer: type | None) -> Callable[[dict[str, Any]], Any]:
    key = (ccxt_id, pro, layer)
    if key not in _classes:
        layers = (Guarded,) if layer is None else (layer, Guarded)
        base = loading.exchange_class(ccxt_id, pro=pro)
        _classes[key] = type(f"Guarded_{ccxt_id}", (*layers, base), {})
    return _classes[key]


def _config(
    ccxt_id: str, market_type: MarketType, credentials: Credentials | None
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "defaultType": market_type.value,
        "warnOnFetchOpenOrdersWithoutSymbol": False,
        "recvWindow": RECEIVE_WINDOW_MS,
        "maxRetriesOnFailure": 0,
    } | _OPTIONS.get((ccxt_id, market_type), {})
    config: dict[str, Any] = {
        "enableRateLimit": True,  # it then asks `throttle`, which is ours
        "timeout_on_exit": 0,
        "options": options,
    }
    if (ccxt_id, market_type) in _OPTIONS:
        # Signed calls about deposits and networks, which nothing here needs.
        config["has"] = {"fetchCurrencies": False}
    if credentials is not None:
        config |= {
            "apiKey": credentials.api_key,
            "secret": credentials.api_secret,
            "password": credentials.password,
        }
    return config


# Ask each venue only for the markets of this instance.
_OPTIONS: dict[tuple[str, MarketType], dict[str, Any]] = {
    ("binance", MarketType.SPOT): {
        "fetchMarkets": {"types": ["spot"]},
        "fetchMargins": False,
        "fetchOpenOrders": {"warnWithoutSymbol": False},
    },
    ("binanceusdm", MarketType.SWAP): {
        "fetchMarkets": {"types": ["linear"]},
        "fetchOpenOrders": {"warnWithoutSymbol": False},
    },
    ("bybit", MarketType.SPOT): {"fetchMarkets": {"types": ["spot"]}},
    ("bybit", MarketType.SWAP): {"fetchMarkets": {"types": ["linear"]}, "defaultSubType": "linear"},
}


def _text(source: Any, key: Any) -> str | None:
    try:
        value = source[key]
    except (LookupError, TypeError):
        return None
    kind = type(value)
    if kind is str:
        return value or None
    if kind is int or kind is float:
        return str(value)
    return format(value, "f") if kind is Decimal else None


def _ccxt_limit(rate_limit_ms: float) -> Limit:
    # CCXT's figure is the pause after one unit of cost; ten seconds of it is a budget that lets a
    # short burst through and keeps the mean.
    window_s = 10.0
    return Limit(units=window_s * 1000 / max(float(rate_limit_ms), 1.0), window_s=window_s)


def _body_text(answer: Answer) -> str:
    return answer.text if "json" in answer.headers.get("Content-Type", "") else ""
