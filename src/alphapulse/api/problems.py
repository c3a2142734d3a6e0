"""Problems: what each error looks like over HTTP. The one registry of codes and their status.

RFC 9457. The documentation, the OpenAPI document and the tests are made from this registry.
"""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar, cast

import msgspec

from alphapulse import errors
from alphapulse.domain.account import KeyCheck
from alphapulse.domain.money import plain
from alphapulse.domain.transaction_files.rows import BadRow

MEDIA_TYPE = "application/problem+json"

DOCS_PATH = "/docs/errors"

BUSY_RETRY_S = 1.0
"""What a locked database asks of a client; the server has waited for it by then."""

STATUS: dict[type[errors.AlphaPulseError], int] = {
    errors.AlphaPulseError: 500,
    errors.InvalidInput: 422,
    errors.MissingIdempotencyKey: 400,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.PlanExpired: 410,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.TradingHalted: 423,
    errors.TooManyRequests: 429,
    errors.ConfigurationInvalid: 422,
    errors.NotReady: 503,
    errors.ExtraMissing: 501,
    errors.RefreshTimedOut: 504,
    errors.WorkerStopped: 503,
    errors.DatabaseError: 503,
    errors.SecretUnreadable: 503,
    errors.ExchangeError: 502,
    errors.ExchangeUnavailable: 503,
    errors.RateLimited: 503,
    errors.ClockSkewed: 503,
    errors.InsufficientFunds: 422,
    errors.InstrumentUnavailable: 422,
    errors.OrderNotSent: 503,
    errors.OrderOutcomeUnknown: 503,
    errors.StreamLost: 503,
}
"""A class that is not listed has its parent's status."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One code a client may meet."""

    code: str
    status: int
    title: str
    fix: str

    @property
    def docs_url(self) -> str:
        return f"{DOCS_PATH}#{self.code}"


BAD_REQUEST = Kind(
    "bad_request", 400, "This is not a request we can read.", "Send well-formed JSON, keys once."
)
HOST_NOT_ALLOWED = Kind(
    "host_not_allowed",
    421,
    "This server does not answer to that name.",
    "Add the name to the allowed hosts, or use one that is listed.",
)
NO_SUCH_PATH = Kind(
    "no_such_path", 404, "There is nothing at this path.", "The documentation lists every path."
)
METHOD_NOT_ALLOWED = Kind(
    "method_not_allowed",
    405,
    "This path does not know that verb.",
    "The Allow header lists the verbs it knows.",
)
BODY_TOO_LARGE = Kind(
    "body_too_large",
    413,
    "The body is larger than this path takes.",
    "Send less, or in several parts.",
)
UNSUPPORTED_MEDIA_TYPE = Kind(
    "unsupported_media_type", 415, "The body is not JSON.", "Send Content-Type: application/json."
)
TIMED_OUT = Kind(
    "timed_out",
    503,
    "It took longer than a request may.",
    "Try again; the system status shows what is slow.",
)
INTERNAL = Kind(
    "internal",
    500,
    "Something broke that should not.",
    "Please report it with the request id; the log holds the cause.",
)
_HTTP_KINDS = (
    BAD_REQUEST,
    HOST_NOT_ALLOWED,
    NO_SUCH_PATH,
    METHOD_NOT_ALLOWED,
    BODY_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    TIMED_OUT,
    INTERNAL,
)


def kind_of(error: type[errors.AlphaPulseError]) -> Kind:
    """The code and status of an error class, its docstring's first sentence as the title."""
    status = next(STATUS[ancestor] for ancestor in error.__mro__ if ancestor in STATUS)
    title = (inspect.getdoc(error) or "").partition("\n\n")[0].partition(";")[0].rstrip(".")
    return Kind(error.code, status, " ".join(title.split()) + ".", error.fix)


def registry() -> dict[str, Kind]:
    """Every code of the API, by code."""
    kinds = {kind.code: kind for kind in map(kind_of, _all(errors.AlphaPulseError))}
    return dict(sorted((kinds | {kind.code: kind for kind in _HTTP_KINDS}).items()))


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with one field. ``pointer`` is a JSON pointer into ``location``."""

    pointer: str
    location: str
    code: str
    detail: str


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the exchange said, word for word, where it was the exchange that refused."""

    exchange: str | None = None
    http_status: int | None = None
    venue_code: str | None = None
    venue_message: str | None = None


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """The check that refused it: what is allowed, and what it was."""

    check: str
    limit: str | None = None
    value: str | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is not a success."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    fix: str
    request_id: str
    errors: tuple[FieldError, ...] = ()
    retry_after_s: int | None = None
    cause: Cause | None = None
    limit: Limit | None = None

    def encode(self) -> bytes:
        return msgspec.json.encode(self)

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the status demands beside the body."""
        headers = [(b"content-type", MEDIA_TYPE.encode())]
        if self.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % self.retry_after_s))
        if self.status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="alphapulse"'))
        return headers


def problem(
    kind: Kind,
    detail: str | None = None,
    *,
    path: str,
    request_id: str,
    errors: tuple[FieldError, ...] = (),
    retry_after_s: float | None = None,
    cause: Cause | None = None,
    limit: Limit | None = None,
) -> Problem:
    """Fill in a problem of ``kind``; waiting times are rounded up to whole seconds."""
    return Problem(
        type=kind.docs_url,
        title=kind.title,
        status=kind.status,
        detail=detail or kind.title,
        instance=path,
        code=kind.code,
        fix=kind.fix,
        request_id=request_id,
        errors=errors,
        retry_after_s=None if retry_after_s is None else max(1, -int(-retry_after_s // 1)),
        cause=cause,
        limit=limit,
    )


def problem_of(error: errors.AlphaPulseError, *, path: str, request_id: str) -> Problem:
    """What a client may know of ``error``: its message, its field and the venue's own words."""
    return problem(
        kind_of(type(error)),
        f"{error.message[:1].upper()}{error.message[1:]}.",
        path=path,
        request_id=request_id,
        errors=_field_errors(error),
        retry_after_s=_retry_after_s(error),
        cause=_cause(error) if isinstance(error, errors.ExchangeError) else None,
        limit=_limit(error),
    )


def _retry_after_s(error: errors.AlphaPulseError) -> float | None:
    is_busy = isinstance(error, errors.DatabaseBusy)
    return error.retry_after_s or (BUSY_RETRY_S if is_busy else None)


def _field_errors(error: errors.AlphaPulseError) -> tuple[FieldError, ...]:
    """Which field it is about; of a key that was refused, the steps that failed."""
    if isinstance(error, errors.InputsNotGood):
        return tuple(map(_refusal, error.refusals))
    if isinstance(error, errors.BadRows):
        return _row_errors(error)
    field, check = error.facts.get("field"), error.facts.get("check")
    if isinstance(check, KeyCheck):
        return tuple(
            FieldError(
                pointer="/api_key",
                location="body",
                code=step.error_code or error.code,
                detail=f"{step.name}: {step.detail}" + (f". {step.fix}" if step.fix else ""),
            )
            for step in check.steps
            if not step.is_ok
        )
    if field is None:
        return ()
    return (
        FieldError(pointer=f"/{field}", location="body", code=error.code, detail=error.message),
    )


def _refusal(found: errors.InputFault) -> FieldError:
    return FieldError(
        pointer=f"/{found.subject}", location="state", code=found.reason, detail=found.detail
    )


def _row_errors(error: errors.BadRows) -> tuple[FieldError, ...]:
    """A pointer names the line and the column, in the file."""
    return tuple(
        FieldError(
            pointer=f"/{row.line}" if row.column is None else f"/{row.line}/{row.column}",
            location="file",
            code=error.code,
            detail=_place_of(row) + row.reason,
        )
        for row in cast(Iterable[BadRow], error.facts["rows"])
    )


def _place_of(row: BadRow) -> str:
    return f"line {row.line}: " if row.column is None else f"line {row.line}, {row.column}: "


def _limit(error: errors.AlphaPulseError) -> Limit | None:
    check = error.facts.get("check")
    if not isinstance(check, str):
        return None
    limit, value = error.facts.get("limit"), error.facts.get("value")
    return Limit(check=check, limit=_plainly(limit), value=_plainly(value))


def _plainly(value: object) -> str | None:
    if value is None:
        return None
    return plain(value) if isinstance(value, Decimal) else str(value)


def _cause(error: errors.ExchangeError) -> Cause | None:
    known = {name: error.facts.get(name) for name in Cause.__struct_fields__}
    if not any(known.values()):
        return None
    status = known.pop("http_status")
    return Cause(
        http_status=status if isinstance(status, int) else None,
        **{name: None if value is None else str(value)[:300] for name, value in known.items()},
    )


_E = TypeVar("_E")


def _all(root: type[_E]) -> list[type[_E]]:
    return [root, *(found for child in root.__subclasses__() for found in _all(child))]
