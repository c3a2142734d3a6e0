"""Redaction: takes secrets out of text and fields before anybody reads them.

Three nets, because each has holes: names of fields, shapes of text, and the very values that were
unsealed in this process.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

REDACTED = "[redacted]"
SHORTEST_CHARACTERS = 8  # hiding shorter values would only make the log unreadable
KNOWN_AT_MOST = 500  # the newest; a key, a secret and their quoted forms for over 100 accounts
DEEPEST = 6

LONGEST_CHARACTERS = 10_000  # a venue's error page may be a megabyte

_NAME = (
    r"(?:api[-_]?key|private[-_]?key|master[-_]?key|secret|passw(?:or)?d|passphrase|token|"
    r"authorization|cookie|signature|(?:setup|recovery)[-_]?code|otp\b)"
)
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a secret looks like; without any of the ``hints`` in the text it is not looked for."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    shown: str


# No pattern begins with a repetition, and each repetition is bounded: hostile text costs no more.
_SHAPES = (
    _Shape(  # name=value and name: value, also quoted as in JSON, a query or a header
        ("key", "secret", "pass", "token", "author", "cookie", "signature", "code", "otp"),
        re.compile(
            rf"(?P<name>{_NAME}[\w-]{{0,40}}[\"']?\s{{0,3}}[=:]\s{{0,3}}[\"']?)"
            r"(?:(?:bearer|basic)\s)?[^\s&,;\"'}]{1,4000}",
            re.IGNORECASE,
        ),
        rf"\g<name>{REDACTED}",
    ),
    _Shape(
        ("bearer ", "basic "),
        re.compile(r"\b(?P<scheme>bearer|basic)\s[\w.~+/=-]{8,4000}", re.IGNORECASE),
        rf"\g<scheme> {REDACTED}",
    ),
    _Shape(  # a JSON web token
        ("eyj",),
        re.compile(r"\beyJ[\w-]{5,1000}\.[\w-]{1,4000}\.[\w-]{0,1000}"),
        REDACTED,
    ),
    _Shape(("ap_",), re.compile(r"\bap_\w{8}_[\w-]{20,100}"), REDACTED),  # a token of ours
    _Shape(  # a password in an address
        ("://",),
        re.compile(r"(?P<before>://[^/\s:@]{0,100}):[^/\s@]{1,200}@"),
        rf"\g<before>:{REDACTED}@",
    ),
    _Shape(
        ("private key-----",),
        re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(-----END |\Z)", re.DOTALL),
        REDACTED,
    ),
)

_HINTS = tuple((hint, shape) for shape in _SHAPES for hint in shape.hints)

_known: tuple[str, ...] = ()


def hide(secret: str) -> None:
    """Never show this value again, in whatever text it turns up in this process."""
    global _known
    if len(secret) >= SHORTEST_CHARACTERS and secret not in _known:
        forms = dict.fromkeys((secret, quote(secret, safe="")))
        _known = (*forms, *_known)[:KNOWN_AT_MOST]


def redacted(text: str) -> str:
    """The same text without known secrets and without what looks like one; cut when very long."""
    for secret in _known:
        text = text.replace(secret, REDACTED)
    text = text[:LONGEST_CHARACTERS]
    lower = text.lower()
    for hint, shape in _HINTS:  # most lines hold no hint, and cost a microsecond
        if hint in lower:
            text = shape.pattern.sub(shape.shown, text)
    return text


def redacted_fields(fields: Mapping[str, object], depth: int = 0) -> dict[str, object]:
    """The same fields; those with a telling name lose their value, the others what is in it."""
    return {
        redacted(str(name)): REDACTED if _is_secret(str(name)) else redacted_value(value, depth)
        for name, value in fields.items()
    }


@lru_cache(maxsize=1000)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def redacted_value(value: object, depth: int = 0) -> object:
    """Numbers as they are, containers searched, everything else as redacted text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth < DEEPEST:
        if isinstance(value, Mapping):
            return redacted_fields(value, depth + 1)
        if isinstance(value, list | tuple | set | frozenset):
            return [redacted_value(item, depth + 1) for item in value]
    return redacted(str(value))
