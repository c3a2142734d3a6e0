"""OpenAPI: the document that clients are generated from, made to say what is true.

FastAPI's own document promises its stock validation error and puts problem bodies under
application/json; both are corrected here, in one place.
"""

from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from alphapulse.api import problems
from alphapulse.errors import (
    AlphaPulseError,
    Forbidden,
    InvalidInput,
    TooManyRequests,
    Unauthenticated,
)

Responses = dict[int | str, dict[str, Any]]

VERSION = version("alphapulse")

_REFERENCE = {"$ref": "#/components/schemas/Problem"}

_DESCRIPTION = """\
Everything you hold and trade on crypto exchanges, from one server of your own.

**Numbers** are decimal strings in plain notation, exact both ways. **Times** are RFC 3339 in UTC.
A field that is not known is `null` and named in `meta.warnings`; nothing is ever guessed.

**Log in** with `POST /api/user/login`, then send `Authorization: Bearer <access_token>`.

**Errors** are problem documents (RFC 9457) with a stable `code`; [every code](/docs/errors) says
what to do. **Live data** comes over the [WebSocket](/docs/stream).
"""

TAGS = [
    {"name": "portfolio", "description": "What everything is worth, and where it lies."},
    {"name": "exchange", "description": "Accounts, balances and orders at the exchanges."},
    {"name": "trading", "description": "The kill switch, the limits, and reconciliation."},
    {"name": "market", "description": "Prices."},
    {"name": "user", "description": "Set-up, login and the caller's own profile."},
    {"name": "system", "description": "How every part is."},
]


def problem_responses(*errors: type[AlphaPulseError], is_public: bool = False) -> Responses:
    """What a route may answer beside success: its own errors and those of every route."""
    common = () if is_public else (Unauthenticated, Forbidden)
    by_status: dict[int, list[problems.Kind]] = {}
    for error in (*errors, *common, InvalidInput, TooManyRequests):
        kind = problems.kind_of(error)
        if kind not in by_status.setdefault(kind.status, []):
            by_status[kind.status].append(kind)
    return {status: _response(status, kinds) for status, kinds in sorted(by_status.items())}


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of ``app``; FastAPI calls it through ``app.openapi``."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="AlphaPulse",
            version=VERSION,
            summary="Your crypto portfolio, exactly.",
            description=_DESCRIPTION,
            routes=app.routes,
            tags=TAGS,
            servers=[{"url": "/", "description": "This server"}],
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        )
        _correct(document)
        app.openapi_schema = document
    return app.openapi_schema


def _correct(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for stock in ("HTTPValidationError", "ValidationError"):
        schemas.pop(stock, None)
    _, own = msgspec.json.schema_components(
        [problems.Problem], ref_template="#/components/schemas/{name}"
    )
    schemas.update(own)
    schemas["Problem"]["properties"]["code"]["enum"] = list(problems.registry())


def _response(status: int, kinds: list[problems.Kind]) -> dict[str, Any]:
    codes = ", ".join(f"`{kind.code}`" for kind in kinds)
    return {
        "description": f"{HTTPStatus(status).phrase}: {codes}",
        "content": {
            problems.MEDIA_TYPE: {
                "schema": _REFERENCE,
                "examples": {kind.code: {"value": _example(kind)} for kind in kinds},
            }
        },
    }


def _example(kind: problems.Kind) -> dict[str, Any]:
    shown = problems.problem(kind, path="/api/...", request_id="5f2c1a9be0-0000002a")
    example: dict[str, Any] = msgspec.to_builtins(shown)
    return example
