"""Tokens: ours pass, and every forgery we could think of does not."""

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.identifiers import UserId
from alphapulse.errors import ConfigurationInvalid, TokenExpired, TokenRevoked, Unauthenticated
from alphapulse.runtime.clock import SystemClock
from alphapulse.security import tokens as module
from alphapulse.security.key_file import KEY_FILE_NAME, MasterKey
from alphapulse.security.scopes import Scope
from alphapulse.security.tokens import (
    LIFETIME_S,
    LOCAL_OPERATOR,
    TokenIssuer,
    TokenVerifier,
    sign_local_token,
)
from tests.fixtures.clock import HandClock

MASTER = MasterKey(1, b"k" * 32)
KEY = MASTER.derive("access tokens")
USER = UserId("u-1")
SCOPES = frozenset({Scope.MARKET_READ, Scope.PORTFOLIO_READ})
HEADER = {"alg": "HS256", "typ": "at+jwt", "kid": "1"}


@pytest.fixture
def issuer(clock: HandClock) -> TokenIssuer:
    return TokenIssuer(MASTER, clock)


@pytest.fixture
def verifier(clock: HandClock) -> TokenVerifier:
    return TokenVerifier(MASTER, clock)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def signed(
    header: dict[str, Any], claims: dict[str, Any], key: bytes = KEY, digest: str = "sha256"
) -> str:
    """A token signed with HMAC whatever its header says."""
    text = f"{encoded(header)}.{encoded(claims)}"
    signature = hmac.new(key, text.encode(), digest).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def claims(clock: HandClock, **changes: object) -> dict[str, Any]:
    now = int(clock.now().timestamp())
    good: dict[str, Any] = {
        "iss": "alphapulse",
        "aud": "alphapulse-api",
        "sub": USER,
        "sid": "s-1",
        "jti": "j-1",
        "scopes": ["market:read"],
        "iat": now,
        "nbf": now,
        "exp": now + 60,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def test_an_issued_token_says_who_in_which_session_may_do_what_until_when(
    issuer: TokenIssuer, verifier: TokenVerifier, clock: HandClock
) -> None:
    access = verifier.verify(issuer.issue(USER, "s-1", SCOPES))
    assert (access.user_id, access.session_id, access.scopes) == (USER, "s-1", SCOPES)
    assert (access.expires_at - clock.now()).total_seconds() == LIFETIME_S


def test_our_own_forging_tools_make_a_token_that_passes(
    verifier: TokenVerifier, clock: HandClock
) -> None:
    """The negative control: what fails below fails for the one thing that was changed."""
    assert verifier.verify(signed(HEADER, claims(clock))).user_id == USER


def other_key_tokens(clock: HandClock) -> dict[str, str]:
    good = claims(clock)
    text = f"{encoded(HEADER)}.{encoded(good)}"
    another = signed(HEADER, claims(clock, sub="u-2"))
    private = rsa.generate_private_key(65537, 2048)
    return {
        "other key": signed(HEADER, good, b"x" * 32),
        "empty key": signed(HEADER, good, b""),
        "master key itself": signed(HEADER, good, b"k" * 32),
        "empty signature": f"{text}.",
        "no signature": text,
        "signature of another token": f"{text}.{another.rsplit('.', 1)[1]}",
        "five parts": f"{text}..{text}",
        "none": f"{encoded(HEADER | {'alg': 'none'})}.{encoded(good)}.",
        "None": f"{encoded(HEADER | {'alg': 'None'})}.{encoded(good)}.",
        "none, signed": signed(HEADER | {"alg": "none"}, good),
        "HS512": signed(HEADER | {"alg": "HS512"}, good, digest="sha512"),
        "RS256": jwt.encode(good, private, "RS256", {"typ": "at+jwt", "kid": "1"}),
        "RS256, signed as HS256": signed(HEADER | {"alg": "RS256"}, good),
        "no alg": signed({"typ": "at+jwt", "kid": "1"}, good),
        "alg in a list": signed(HEADER | {"alg": ["HS256"]}, good),
        "not base 64": "a!.b!.c!",
        "empty": "",
        "control characters": "\x00.\n.\r",
        "very long": "a" * 10_000,
        "not JSON": f"{base64.urlsafe_b64encode(b'not json').decode()}.{encoded(good)}.x",
    }


def header_tokens(clock: HandClock) -> dict[str, str]:
    own_key = {"kty": "oct", "k": base64.urlsafe_b64encode(b"x" * 32).decode()}
    changes: dict[str, dict[str, Any]] = {
        "jwk": {"jwk": own_key},
        "jku": {"jku": "https://attacker.invalid/keys"},
        "x5u": {"x5u": "https://attacker.invalid/cert"},
        "x5c": {"x5c": ["MII"]},
        "crit": {"crit": ["exp"]},
        "kid traversal": {"kid": "../../dev/null"},
        "kid injection": {"kid": "1' OR '1'='1"},
        "other kid": {"kid": "2"},
        "typ JWT": {"typ": "JWT"},
        "typ refresh": {"typ": "rt+jwt"},
    }
    good = claims(clock)
    return {
        **{name: signed(HEADER | change, good) for name, change in changes.items()},
        "jwk, signed with it": signed(HEADER | {"jwk": own_key}, good, b"x" * 32),
        "no typ": signed({"alg": "HS256", "kid": "1"}, good),
        "no kid": signed({"alg": "HS256", "typ": "at+jwt"}, good),
    }


def claim_tokens(clock: HandClock) -> dict[str, str]:
    now = int(clock.now().timestamp())
    changes: dict[str, dict[str, object]] = {
        "wrong aud": {"aud": "another-api"},
        "aud in a list": {"aud": ["alphapulse-api", "another-api"]},
        "wrong iss": {"iss": "attacker"},
        "not yet valid": {"nbf": now + 30},
        "a day long": {"exp": now + 86_400},
        "back-dated": {"nbf": now - 86_400},
        "ends before it begins": {"nbf": now, "exp": now - 1},
        "exp as text": {"exp": "9999999999"},
        "exp infinite": {"exp": float("inf")},
        "unknown scope": {"scopes": ["everything"]},
        "scopes as text": {"scopes": "market:read"},
        "sub as a number": {"sub": 1},
        "unknown claim": {"admin": True},
    }
    gone: dict[str, dict[str, object]] = {f"no {name}": {name: None} for name in claims(clock)}
    return {
        name: signed(HEADER, claims(clock, **change))
        for name, change in {**changes, **gone}.items()
    }


def test_no_forged_token_passes(verifier: TokenVerifier, clock: HandClock) -> None:
    forged = other_key_tokens(clock) | header_tokens(clock) | claim_tokens(clock)
    assert len(forged) >= 40
    passed = []
    for name, token in forged.items():
        try:
            verifier.verify(token)
        except Unauthenticated:
            continue
        passed.append(name)
    assert passed == []


@given(st.text() | st.text(alphabet="abcABC019.-_=", max_size=60))
def test_no_text_whatever_breaks_the_verifier(text: str) -> None:
    verifier = TokenVerifier(MASTER, SystemClock())
    for token in (text, f"{encoded(HEADER)}.{text}.x", f"{text}.{encoded({})}.x"):
        with pytest.raises(Unauthenticated):
            verifier.verify(token)


def test_changing_one_character_of_a_token_makes_it_worthless(
    issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    token = issuer.issue(USER, "s-1", SCOPES)
    verifier.verify(token)
    # But the last one: two of its bits are padding, so another letter may mean the same bytes.
    for at in range(len(token) - 1):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(Unauthenticated):
            verifier.verify(changed)


def test_a_token_expires_also_when_it_was_seen_before(
    issuer: TokenIssuer, verifier: TokenVerifier, clock: HandClock
) -> None:
    seen, unseen = (issuer.issue(USER, sid, SCOPES) for sid in ("s-1", "s-2"))
    verifier.verify(seen)
    clock.advance(LIFETIME_S - 1)
    verifier.verify(seen)
    clock.advance(1)
    for token in (seen, unseen):
        with pytest.raises(TokenExpired):
            verifier.verify(token)


def test_revoking_a_session_refuses_all_its_tokens_from_the_next_request_on(
    issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    seen, unseen = issuer.issue(USER, "s-1", SCOPES), issuer.issue(USER, "s-1", SCOPES)
    other = issuer.issue(USER, "s-2", SCOPES)
    verifier.verify(seen)
    verifier.revoke("s-1")
    for token in (seen, unseen, seen):
        with pytest.raises(TokenRevoked):
            verifier.verify(token)
    verifier.verify(other)


def test_a_revocation_is_kept_as_long_as_a_token_lives_and_no_longer(
    issuer: TokenIssuer, verifier: TokenVerifier, clock: HandClock
) -> None:
    token = issuer.issue(USER, "s-1", SCOPES)
    verifier.revoke("s-1")
    clock.advance(LIFETIME_S - 1)
    verifier.revoke("s-2")
    with pytest.raises(TokenRevoked):
        verifier.verify(token)
    clock.advance(1)
    verifier.revoke("s-3")
    assert set(verifier._revoked) == {"s-2", "s-3"}


def test_the_memory_of_passed_tokens_is_bounded(
    issuer: TokenIssuer, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CACHE_TOKENS", 10)
    tokens = [issuer.issue(USER, f"s-{number}", SCOPES) for number in range(30)]
    for token in tokens * 2:
        verifier.verify(token)
    assert len(verifier._passed) == 10


def test_two_tokens_of_one_session_differ(issuer: TokenIssuer) -> None:
    assert issuer.issue(USER, "s-1", SCOPES) != issuer.issue(USER, "s-1", SCOPES)


def test_a_command_that_can_read_the_key_file_may_do_everything_for_a_minute(
    tmp_path: Path,
) -> None:
    key = MasterKey.load_or_create(tmp_path / KEY_FILE_NAME)
    access = TokenVerifier(key, SystemClock()).verify(sign_local_token(tmp_path))
    assert access.user_id == LOCAL_OPERATOR
    assert access.scopes == frozenset(Scope)


def test_a_command_without_a_key_file_makes_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid):
        sign_local_token(tmp_path)
    assert list(tmp_path.iterdir()) == []
