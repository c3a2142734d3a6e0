"""CCXT client: one instance for one market type of one account, over the guarded transport.

CCXT signs, names and parses; sending, budgets, the verdict on an answer and the exactness of
numbers are ours. Inside an instance every address is the venue's own; the transport alone knows
where it really goes, so CCXT's error tables, which compare addresses, stay whole.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from alphapulse.domain.clock import Clock
from alphapulse.exchanges.budget import Budgets, KeyBudgets, RateBudget
from alphapulse.exchanges.ccxt import errors, loading
from alphapulse.exchanges.ccxt.errors import Intent
from alphapulse.exchanges.ccxt.transport import Answer, NoAnswer, Request, Transport
from alphapulse.exchanges.port import Credentials
from alphapulse.exchanges.rule import Reaction
from alphapulse.exchanges.settings import ExchangesSettings
from alphapulse.exchanges.venues import Limit, VenueProfile, profile

# Binance and Bybit refuse a request that arrives later than this after it was signed.
RECEIVE_WINDOW_MS = 5000

# After a rate limit of a venue we know no rule of, and that names no time itself.
UNSAID_WAIT_S = 1.0


class MarketType(StrEnum):
    """CCXT's word for a kind of market; each has an instance of its own."""

    SPOT = "spot"
    SWAP = "swap"


@dataclass(slots=True)
class Attempt:
    """How many requests of one call may have changed something: what proves that none did."""

    writes: int = 0
    """Everything but GET that may have left: no exchange of ours takes an order by GET."""

    def count(self, method: str, by: int) -> None:
        """Another request, or one that is proved not to have left after all."""
        if method != "GET":
            self.writes += by


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why the requests of the current task are sent."""

    intent: Intent = Intent.READ
    list_is_good: bool = False
    """An empty list may be the whole truth: nothing is open, nothing was traded."""
    attempt: Attempt = field(default_factory=Attempt)


READING = Purpose()

_purpose: ContextVar[Purpose] = ContextVar("purpose", default=READING)


@contextmanager
def purpose(
    intent: Intent, *, list_is_good: bool = False, attempt: Attempt | None = None
) -> Iterator[None]:
    """Say what the requests inside are for; it decides what their failure means."""
    token = _purpose.set(Purpose(intent, list_is_good, attempt or Attempt()))
    try:
        yield
    finally:
        _purpose.reset(token)


@dataclass(frozen=True, slots=True)
class Toll:
    """What a request takes from the budgets: ``cost`` is CCXT's. ``endpoint`` of a signed one."""

    cost: float
    endpoint: str | None


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
    _key_budgets: KeyBudgets | None
    _profile: VenueProfile
    _secrets: tuple[str, ...]

    @property
    def _name(self) -> str:
        return self._around.exchange

    def attach(
        self: Any, around: Surroundings, venue: VenueProfile, credentials: Credentials | None
    ) -> None:
        self._around = around
        self._profile = venue
        self._budget = around.budgets.of(self.id, venue.limit or _ccxt_limit(self.rateLimit))
        self._key_budgets = (
            None
            if credentials is None or venue.key_limit is None
            else around.budgets.of_key(credentials.api_key, venue.key_limit)
        )
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

    def calculate_rate_limiter_cost(self, api: Any, *request: Any) -> Toll:
        """Called by CCXT with method, path, params and config; `throttle` is given what it says."""
        cost = super().calculate_rate_limiter_cost(api, *request)  # type: ignore[misc]
        return Toll(float(cost), f"/{request[1]}" if "private" in api else None)

    async def throttle(self, toll: Toll) -> None:
        """Called by CCXT before it signs, so that waiting does not age the signature."""
        urgent = _purpose.get().intent.is_write
        if self._key_budgets is not None and toll.endpoint is not None:
            await self._key_budgets.spend(toll.endpoint, toll.cost, urgent=urgent)
        await self._budget.spend(toll.cost, urgent=urgent)

    async def fetch(
        self: Any, url: str, method: str = "GET", headers: Any = None, body: Any = None
    ) -> Any:
        """Called by CCXT with the signed request; what it returns, CCXT parses."""
        why = _purpose.get()
        sent = Request(method, url, self.prepare_request_headers(headers), body)
        answer = await self._answer(sent, why)
        payload = answer.json()
        is_good = answer.status < 300 and self._profile.accepts(
            _endpoint(sent), payload, list_is_good=why.list_is_good
        )
        refusal = self._refusal_by_rule(answer, payload, sent, why.intent)
        # What says nothing at all is broken; CCXT, if asked, would read a refusal into it.
        if refusal is None and (
            is_good or answer.status >= 300 or self._profile.says_something(payload)
        ):
            refusal = self._refusal_by_class(answer, payload, sent, why.intent)
        if refusal is None and not is_good:
            refusal = errors.of_broken_answer(answer, intent=why.intent, exchange=self._name)
        if refusal is not None:
            raise refusal
        return payload

    async def _answer(self, sent: Request, why: Purpose) -> Answer:
        around = self._around
        there = replace(sent, url=around.settings.address(around.exchange, sent.url))
        why.attempt.count(sent.method, 1)
        try:
            answer = await around.transport.send(there)
        except NoAnswer as silence:
            if not silence.was_sent:
                why.attempt.count(sent.method, -1)
            raise errors.of_silence(silence, intent=why.intent, exchange=self._name) from None
        self._budget.observe(answer.headers)
        if self._key_budgets is not None:
            self._key_budgets.observe(_endpoint(sent), answer.headers)
        return answer

    def _refusal_by_rule(
        self, answer: Answer, payload: Any, sent: Request, intent: Intent
    ) -> Exception | None:
        rule, code, message = self._profile.rule(answer.status, payload)
        if rule is None:
            return None
        return errors.of_rule(
            rule,
            answer,
            code,
            errors.without_secrets(message, self._secrets),
            intent=intent,
            exchange=self._name,
            retry_after_s=self._hold(
                rule.wait_s,
                answer,
                message,
                endpoint=_endpoint(sent) if rule.is_of_endpoint else None,
            ),
        )

    def _refusal_by_class(
        self, answer: Answer, payload: Any, sent: Request, intent: Intent
    ) -> Exception | None:
        raised = self._raised_by_ccxt(answer, payload, sent)
        if raised is None:
            return None
        _, code, message = self._profile.rule(answer.status, payload)
        is_limited = errors.reaction_to(type(raised), Intent.READ) is Reaction.WAIT
        return errors.of_class(
            raised,
            answer,
            code,
            errors.without_secrets(message or errors.json_text(answer), self._secrets),
            intent=intent,
            exchange=self._name,
            retry_after_s=self._hold(UNSAID_WAIT_S if is_limited else 0.0, answer, message),
        )

    def _raised_by_ccxt(self: Any, answer: Answer, payload: Any, sent: Request) -> Exception | None:
        about = (answer.status, answer.reason, sent.url, sent.method)
        said = (dict(answer.headers), answer.text, payload)
        try:
            self.handle_errors(*about, *said, sent.headers, sent.body)
            self.handle_http_status_code(*about, answer.text)
        except loading.base_error() as raised:
            return raised
        except BREAKS:
            return None  # it tripped over the body: the check of its shape says so
        return None

    def _hold(
        self, wait_s: float, answer: Answer, message: str, *, endpoint: str | None = None
    ) -> float | None:
        """Send nothing, or nothing to ``endpoint`` with this key, for as long as the venue asks;
        ``wait_s`` where it names no time."""
        wait_s = errors.wait_s(wait_s, answer, message, self._around.clock.now())
        if wait_s <= 0:
            return None
        if endpoint is None or self._key_budgets is None:
            self._around.budgets.hold(wait_s)
        else:
            self._key_budgets.hold(endpoint, wait_s)
        return round(wait_s, 3)

    def client(self: Any, url: str) -> Any:
        """CCXT's WebSocket of that address, opened where the settings say."""
        around: Surroundings = self._around
        return super().client(around.settings.address(around.exchange, url))  # type: ignore[misc]


# What CCXT's parsers raise over a body they did not expect, and aiohttp over a closed session.
BREAKS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError)

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


def _endpoint(sent: Request) -> str:
    return urlsplit(sent.url).path


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
