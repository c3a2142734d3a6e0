"""Classifier: from what came back, or did not, to one error of ours.

No text of CCXT passes through: its messages hold the request's address, and addresses hold
signatures. What is told is the HTTP status, the venue's code and the venue's own words.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from alphapulse.errors import (
    AlphaPulseError,
    AuthenticationFailed,
    ClockSkewed,
    ExchangeError,
    ExchangeUnavailable,
    InstrumentUnavailable,
    InsufficientFunds,
    InvalidInput,
    NotFound,
    OrderOutcomeUnknown,
    OrderRejected,
    PermissionMissing,
    RateLimited,
    RequestRefused,
)
from alphapulse.exchanges.ccxt.transport import Answer, NoAnswer
from alphapulse.exchanges.rule import Reaction, Rule


class Intent(StrEnum):
    """What a request is for, which decides what its failure means."""

    READ = "read"
    PLACE = "place"
    AMEND = "amend"
    CANCEL = "cancel"
    CONFIGURE = "configure"
    """An account's setting, like leverage: saying it again is harmless."""

    @property
    def is_write(self) -> bool:
        return self is not Intent.READ


Refusal = ExchangeError | NotFound

_BY_REACTION: dict[Reaction, type[Refusal]] = {
    Reaction.RETRY: ExchangeUnavailable,
    Reaction.WAIT: RateLimited,
    Reaction.CLOCK: ClockSkewed,
    Reaction.KEY: AuthenticationFailed,
    Reaction.PERMISSION: PermissionMissing,
    Reaction.RESOLVE: OrderOutcomeUnknown,
    Reaction.REJECT: OrderRejected,
    Reaction.FUNDS: InsufficientFunds,
    Reaction.ABSENT: NotFound,
    Reaction.DONE: ExchangeError,
    Reaction.BUG: RequestRefused,
    Reaction.SYMBOL: InstrumentUnavailable,
    Reaction.VENUE: ExchangeUnavailable,
}

# Only orders are rejected: a cancel or a setting that is refused says nothing of one.
_BY_REACTION_ELSE = _BY_REACTION | {
    Reaction.REJECT: ExchangeError,
    Reaction.FUNDS: ExchangeError,
}

# A read has no outcome to be unknown.
_BY_REACTION_READING = _BY_REACTION_ELSE | {Reaction.RESOLVE: ExchangeUnavailable}

_BY_INTENT: dict[Intent, dict[Reaction, type[Refusal]]] = {
    Intent.READ: _BY_REACTION_READING,
    Intent.AMEND: _BY_REACTION,
    Intent.CANCEL: _BY_REACTION_ELSE,
    Intent.CONFIGURE: _BY_REACTION_ELSE,
}

# By the name of CCXT's class: reading, and placing, amending or canceling. The nearest ancestor
# that is listed decides, so children of NetworkError stand for themselves. Rate limits and
# maintenance prove nothing about an order unless a rule says so.
_BY_CLASS: dict[str, tuple[Reaction, Reaction]] = {
    "AuthenticationError": (Reaction.KEY, Reaction.KEY),
    "PermissionDenied": (Reaction.PERMISSION, Reaction.PERMISSION),
    "AccountSuspended": (Reaction.PERMISSION, Reaction.PERMISSION),
    "RateLimitExceeded": (Reaction.WAIT, Reaction.RESOLVE),
    "DDoSProtection": (Reaction.WAIT, Reaction.RESOLVE),
    "InvalidNonce": (Reaction.CLOCK, Reaction.RESOLVE),
    "InsufficientFunds": (Reaction.FUNDS, Reaction.FUNDS),
    "OrderNotFound": (Reaction.ABSENT, Reaction.ABSENT),
    "DuplicateOrderId": (Reaction.BUG, Reaction.RESOLVE),
    "BadSymbol": (Reaction.SYMBOL, Reaction.RESOLVE),
    "MarketClosed": (Reaction.SYMBOL, Reaction.RESOLVE),
    "BadRequest": (Reaction.BUG, Reaction.RESOLVE),
    "RestrictedLocation": (Reaction.VENUE, Reaction.RESOLVE),
    "OnMaintenance": (Reaction.VENUE, Reaction.RESOLVE),
    "NoChange": (Reaction.DONE, Reaction.DONE),
    "ExchangeError": (Reaction.REJECT, Reaction.RESOLVE),
    "OperationFailed": (Reaction.RETRY, Reaction.RESOLVE),
    "BaseError": (Reaction.RETRY, Reaction.RESOLVE),
}

# Raised by CCXT itself, before it sends or over an answer that was good.
_LOCAL: dict[str, tuple[type[AlphaPulseError], str]] = {
    "ArgumentsRequired": (InvalidInput, "the exchange needs more than it was given"),
    "InvalidOrder": (InvalidInput, "the exchange takes no such order"),
    "NotSupported": (InvalidInput, "the exchange cannot do this"),
    "BadSymbol": (InstrumentUnavailable, "the exchange has no such symbol"),
    "OrderNotFound": (NotFound, "the exchange has no such order"),
    "AuthenticationError": (AuthenticationFailed, "this needs a key"),
}

_MESSAGE_CHARS = 200

# The longest ban Binance gives out.
_WAIT_S_MAX = 3 * 86_400.0


def of_rule(
    rule: Rule, answer: Answer, code: str | None, message: str, *, intent: Intent, **facts: object
) -> Refusal:
    """The error that a row of the venue's table asks for."""
    reaction = rule.reaction(is_write=intent.is_write)
    facts |= {"http_status": answer.status, "venue_code": code, "venue_message": message}
    if rule.is_duplicate:
        facts["is_duplicate"] = True
    # What stands between us and the venue has no codes; a venue that broke does not know itself.
    is_proved = rule.precedes_acceptance and code is not None and answer.status < 500
    return _error(reaction, intent, rule.meaning, is_proved=is_proved, **facts)


def of_class(
    raised: Exception,
    answer: Answer,
    code: str | None,
    message: str,
    *,
    intent: Intent,
    **facts: object,
) -> Refusal:
    """The error for an answer that no table knows: what CCXT made of it decides."""
    reaction = reaction_to(type(raised), intent)
    facts |= {"http_status": answer.status, "venue_code": code, "venue_message": message}
    return _error(reaction, intent, "the exchange refused the request", is_proved=False, **facts)


def reaction_to(raised: type[BaseException], intent: Intent) -> Reaction:
    """What CCXT's class alone says."""
    for ancestor in raised.__mro__:
        if ancestor.__name__ in _BY_CLASS:
            reading, writing = _BY_CLASS[ancestor.__name__]
            return writing if intent.is_write else reading
    return Reaction.RESOLVE if intent.is_write else Reaction.RETRY


def of_silence(silence: NoAnswer, *, intent: Intent, exchange: str) -> ExchangeError:
    """No answer: for an order that may have left, nobody knows."""
    if intent.is_write and silence.was_sent:
        return OrderOutcomeUnknown(silence.reason, exchange=exchange)
    return ExchangeUnavailable(silence.reason, exchange=exchange, was_sent=silence.was_sent)


def of_broken_answer(answer: Answer, *, intent: Intent, exchange: str) -> ExchangeError:
    """A 2xx whose body cannot be what was asked for."""
    kind = OrderOutcomeUnknown if intent.is_write else ExchangeUnavailable
    return kind(
        "broken answer",
        exchange=exchange,
        http_status=answer.status,
        content_type=answer.headers.get("Content-Type", ""),
        body_bytes=len(answer.body),
    )


def of_local(raised: Exception, *, intent: Intent, exchange: str) -> AlphaPulseError:
    """What CCXT raised by itself: before sending, or while reading what came back."""
    for ancestor in type(raised).__mro__:
        if ancestor.__name__ in _LOCAL:
            kind, meaning = _LOCAL[ancestor.__name__]
            return kind(meaning, exchange=exchange)
    broken = OrderOutcomeUnknown if intent.is_write else ExchangeUnavailable
    cause = type(raised).__name__
    return broken("the answer could not be understood", exchange=exchange, cause=cause)


def wait_s(unsaid_s: float, answer: Answer, message: str, now: datetime) -> float:
    """Seconds the venue asks us to send nothing; ``unsaid_s`` where it names no time."""
    stated = answer.headers.get("Retry-After", "")
    if stated.isdecimal():
        return min(float(stated), _WAIT_S_MAX)
    # Binance: "IP banned until 1573770560000."; Bybit: a header on each answer, which is past
    # where no limit of a key was broken. All in ms, by the venue's clock.
    until = re.search(r"until (\d{13})\b", message)
    moment = until[1] if until else answer.headers.get("X-Bapi-Limit-Reset-Timestamp", "")
    venue_now = answer.headers.get("Timenow", "")
    now_ms = int(venue_now) if venue_now.isdecimal() else now.timestamp() * 1000
    if unsaid_s and moment.isdecimal() and int(moment) > now_ms:
        return min(max(0.1, (int(moment) - now_ms) / 1000), _WAIT_S_MAX)
    return unsaid_s


def without_secrets(text: str, secrets: Sequence[str]) -> str:
    """Venues echo what was signed (Bybit 10004 does, with the key): cut it out."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text[:_MESSAGE_CHARS]


def json_text(answer: Answer) -> str:
    """The whole of a JSON body, where the venue's message is in no known field of it."""
    return answer.text if "json" in answer.headers.get("Content-Type", "") else ""


def _error(
    reaction: Reaction, intent: Intent, meaning: str, *, is_proved: bool, **facts: object
) -> Refusal:
    known = {name: fact for name, fact in facts.items() if fact not in {None, ""}}
    if intent is Intent.PLACE:
        kind: type[Refusal] = _placing(reaction) if is_proved else OrderOutcomeUnknown
    else:
        kind = _BY_INTENT[intent][reaction]
    return kind(meaning, reaction=reaction, **known)


def _placing(reaction: Reaction) -> type[OrderRejected]:
    return InsufficientFunds if reaction is Reaction.FUNDS else OrderRejected
