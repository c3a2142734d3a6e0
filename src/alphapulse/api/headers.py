"""Headers: what every request is asked for, and every answer says, outside its body."""

import itertools
import re
import secrets
from math import ceil

from starlette.types import Scope

from alphapulse.security.rate_limit import Quota

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
_PROCESS = secrets.token_hex(5).encode()
_numbers = itertools.count(1)


def request_id(given: bytes | None) -> bytes:
    """The caller's X-Request-ID where it is harmless, else one of ours."""
    if given is not None and _SAFE_ID.fullmatch(given):
        return given
    return b"%s-%08x" % (_PROCESS, next(_numbers))


def rate_limit(quota: Quota) -> bytes:
    """The RateLimit header: what is left, in whole seconds rounded up."""
    left = (quota.limit, quota.remaining, ceil(quota.reset_s))
    return b"limit=%d, remaining=%d, reset=%d" % left


def lines(headers: Headers) -> bytes:
    """Headers as they go over the wire."""
    return b"".join([b"%s: %s\r\n" % pair for pair in headers])


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first header of that name, which is lower case."""
    for key, value in headers:
        if key == name:
            return value
    return None


def host_name(host: bytes | None) -> str:
    """The name in a Host header, without port and brackets; empty when there is none."""
    text = (host or b"").decode("latin-1").lower()
    name = text.rpartition(":")[0] if re.search(r":\d*$", text) else text
    return name.removeprefix("[").removesuffix("]")


def bearer_token(authorization: bytes | None) -> str | None:
    """The token of an Authorization header."""
    if authorization is None or authorization[:7].lower() != b"bearer ":
        return None
    return authorization[7:].strip().decode("latin-1")


def session_cookie(cookies: bytes | None, scope: Scope) -> str | None:
    """The session in a Cookie header. Each scheme has its own name, so that a page on plain
    HTTP cannot plant a cookie that HTTPS believes."""
    if cookies is None:
        return None
    wanted = cookie_name(scope)
    for part in cookies.split(b";"):
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
