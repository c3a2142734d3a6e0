"""Session Management: random credentials without a meaning, of which only hashes are stored."""

import hashlib
import hmac
import secrets

# Crockford's base 32 has no I, L, O and U, so a code survives being read aloud or typed.
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans("OIL", "011", "- ")
_GROUPS, _GROUP_LETTERS = 7, 4  # 28 letters of 5 bits: 140 bits


def new_token() -> str:
    """A session id or refresh token: 256 random bits in 43 characters."""
    return secrets.token_urlsafe(32)


def new_setup_code() -> str:
    """A code for a person to open the first page with, like ``7QFB-2M9K-...``: 140 random bits."""
    groups = (
        "".join(secrets.choice(_LETTERS) for _ in range(_GROUP_LETTERS)) for _ in range(_GROUPS)
    )
    return "-".join(groups)


def token_hash(token: str) -> str:
    """What is stored of a token. A plain hash is enough, because the token is random and long."""
    return hashlib.sha256(token.encode()).hexdigest()


def setup_code_hash(code: str) -> str:
    """What is stored of a set-up code; case, dashes and letters that look alike do not matter."""
    return token_hash(code.upper().translate(_MISREAD))


def is_same(one: str, other: str) -> bool:
    """Compare two hashes in a time that does not say where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
