"""Headers: what every request is asked for, and every answer says, outside its body."""

import itertools
import re
import secrets

from starlette.types import Scope

Headers = list[tuple[bytes, bytes]]

COOKIE_NAME = b"alphapulse"
"""On plain HTTP, which is served to this machine only. Browsers refuse the prefix below there."""

SECURE_COOKIE_NAME = b"__Host-alphapulse"
"""On HTTPS: the prefix ties the cookie to this host, this path and TLS."""

_PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    b" connect-src 'self'; font-src 'self'; form-action 'none'; base-uri 'none';"
    b" frame-ancestors 'none'"
)

SECURITY: Headers = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
"""On every answer of the API: nothing in it is ever a page."""

PAGE_SECURITY: Headers = [
    (b"cache-control", b"no-cache"),
    (b"content-security-policy", _PAGE_POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
"""On the pages, which load scripts and styles of their own and nothing else."""

_SAFE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_PROCESS = secrets.token_hex(5)
_numbers = itertools.count(1)


def request_id(headers: Headers) -> str:
    """The caller's X-Request-ID where it is harmless, else one of ours."""
    given = header(headers, b"x-request-id")
    if given is not None and _SAFE_ID.fullmatch(given):
        return given.decode()
    return f"{_PROCESS}-{next(_numbers):08x}"


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first header of that name, which is lower case."""
    for key, value in headers:
        if key == name:
            return value
    return None


def host_name(headers: Headers) -> str:
    """The name a request addresses, without port and brackets; empty when it names none."""
    host = (header(headers, b"host") or b"").decode("latin-1").lower()
    name = host.rpartition(":")[0] if re.search(r":\d*$", host) else host
    return name.removeprefix("[").removesuffix("]")


def bearer_token(headers: Headers) -> str | None:
    """The token of an Authorization header."""
    value = header(headers, b"authorization")
    if value is None or value[:7].lower() != b"bearer ":
        return None
    return value[7:].strip().decode("latin-1")


def session_cookie(scope: Scope) -> str | None:
    """The session in the Cookie header. Each scheme has its own name, so that a page on plain
    HTTP cannot plant a cookie that HTTPS believes."""
    value = header(scope["headers"], b"cookie")
    if value is None:
        return None
    wanted = cookie_name(scope)
    for part in value.split(b";"):
        name, _, text = part.strip().partition(b"=")
        if name == wanted:
            return text.decode("latin-1")
    return None


def cookie_name(scope: Scope) -> bytes:
    """Under which name this scheme keeps the session."""
    return SECURE_COOKIE_NAME if scope["scheme"] in {"https", "wss"} else COOKIE_NAME


def set_cookie(scope: Scope, token: str, max_age_s: int) -> str:
    """The Set-Cookie header that begins a session, or with ``max_age_s=0`` ends it."""
    name = cookie_name(scope).decode()
    secure = "; Secure" if name.startswith("__Host-") else ""
    return f"{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}"
