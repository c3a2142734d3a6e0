"""Redaction: taking secrets out of text and fields before anybody reads them."""

import re

_KEY_VALUE = re.compile(
    r"(?i)\b(api[-_]?key|api[-_]?secret|secret|signature|password|passphrase|token|authorization)"
    r"(\s*[=:]\s*)(?:bearer\s+)?[^\s&,;'\"]+"
)
_REDACTED = "[redacted]"


def redacted(text: str) -> str:
    """The same text without what looks like a secret."""
    return _KEY_VALUE.sub(rf"\1\2{_REDACTED}", text)
