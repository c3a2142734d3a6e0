"""Authentication, JWT Tokens: short-lived access tokens, signed and checked by this server only.

HS256 with a key of our own and nothing else: no algorithm, key or address is ever taken from the
token. Source: RFC 8725 and RFC 9068, checked 2026-11.
"""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import msgspec

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import UserId
from alphapulse.errors import TokenExpired, TokenRevoked, Unauthenticated
from alphapulse.runtime.clock import SystemClock
from alphapulse.security.key_file import KEY_FILE_NAME, MasterKey
from alphapulse.security.scopes import Scope

LIFETIME_S = 600
LOCAL_OPERATOR = UserId("local-operator")
"""Who holds the master key file: a command on this machine, not a user."""

_ALGORITHM = "HS256"
_TYPE = "at+jwt"
_ISSUER = "alphapulse"
_AUDIENCE = "alphapulse-api"
_PURPOSE = "access tokens"
_LONGEST_CHARACTERS = 2048  # ours are about 600; longer is not worth a look
_CACHE_TOKENS = 4096
_KEY_ID = "1"


@dataclass(frozen=True, slots=True)
class Access:
    """What a valid token says: who, in which session, what they may do, until when."""

    user_id: UserId
    session_id: str
    scopes: frozenset[Scope]
    expires_at: datetime


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    iss: str
    aud: str
    sub: str
    sid: str
    jti: str
    scopes: frozenset[Scope]
    iat: int
    nbf: int
    exp: int


class TokenIssuer:
    """Signs access tokens."""

    def __init__(
        self, master_key: MasterKey, clock: Clock, *, lifetime_s: int = LIFETIME_S
    ) -> None:
        assert 0 < lifetime_s <= LIFETIME_S
        self.lifetime_s = lifetime_s
        self._key = master_key.derive(_PURPOSE)
        self._clock = clock

    def issue(self, user_id: UserId, session_id: str, scopes: frozenset[Scope]) -> str:
        """A token that ends ``lifetime_s`` from now, or when its session is revoked."""
        now = int(self._clock.now().timestamp())
        claims = _Claims(
            iss=_ISSUER,
            aud=_AUDIENCE,
            sub=user_id,
            sid=session_id,
            jti=secrets.token_hex(16),
            scopes=scopes,
            iat=now,
            nbf=now,
            exp=now + self.lifetime_s,
        )
        return jwt.encode(
            msgspec.to_builtins(claims),
            self._key,
            algorithm=_ALGORITHM,
            headers={"typ": _TYPE, "kid": _KEY_ID},
        )


class TokenVerifier:
    """Checks access tokens; remembers the ones that passed, so that each is decoded once."""

    def __init__(self, master_key: MasterKey, clock: Clock) -> None:
        self._key = master_key.derive(_PURPOSE)
        self._clock = clock
        self._passed: OrderedDict[str, Access] = OrderedDict()
        self._revoked: dict[str, datetime] = {}

    def verify(self, token: str) -> Access:
        """Say whose token this is.

        Raises:
            TokenExpired: It was valid, and its time is over.
            TokenRevoked: Its session was ended.
            Unauthenticated: It is not one of ours, or not valid yet.
        """
        access = self._passed.get(token)
        if access is None:
            access = self._decode(token)
            self._remember(token, access)
        if access.expires_at <= self._clock.now():
            del self._passed[token]
            raise TokenExpired("the access token has expired")
        if access.session_id in self._revoked:
            raise TokenRevoked("the session was ended")
        return access

    def revoke(self, session_id: str) -> None:
        """Refuse every token of a session from the next request on.

        Kept for as long as such a token can live. The list does not outlast the process: whoever
        starts one revokes the sessions that ended within the last `LIFETIME_S`.
        """
        now = self._clock.now()
        self._revoked = {sid: until for sid, until in self._revoked.items() if until > now}
        self._revoked[session_id] = now + timedelta(seconds=LIFETIME_S)

    def _remember(self, token: str, access: Access) -> None:
        self._passed[token] = access
        if len(self._passed) > _CACHE_TOKENS:
            self._passed.popitem(last=False)

    def _decode(self, token: str) -> Access:
        if len(token) > _LONGEST_CHARACTERS:
            raise Unauthenticated("not a valid access token")
        try:
            decoded = jwt.decode_complete(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                issuer=_ISSUER,
                # Times are checked below, on the clock we were given.
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
            claims = msgspec.convert(decoded["payload"], _Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
            raise Unauthenticated("not a valid access token") from error
        self._check(decoded["header"], claims)
        return Access(
            user_id=UserId(claims.sub),
            session_id=claims.sid,
            scopes=claims.scopes,
            expires_at=datetime.fromtimestamp(claims.exp, UTC),
        )

    def _check(self, header: dict[str, object], claims: _Claims) -> None:
        # The whole header, so that no token carries a key, an address or an extension.
        if header != {"alg": _ALGORITHM, "typ": _TYPE, "kid": _KEY_ID}:
            raise Unauthenticated("not an access token of this server")
        if not 0 < claims.exp - claims.nbf <= LIFETIME_S:
            raise Unauthenticated("the access token would live too long")
        if claims.nbf > self._clock.now().timestamp():
            raise Unauthenticated("the access token is not valid yet")


def sign_local_token(folder: Path) -> str:
    """A token for a command on this machine, which may do everything.

    Whoever can read the key file of the data folder owns what is in it already.

    Raises:
        ConfigurationInvalid: No readable key file is there.
    """
    issuer = TokenIssuer(MasterKey.load(folder / KEY_FILE_NAME), SystemClock(), lifetime_s=60)
    return issuer.issue(LOCAL_OPERATOR, secrets.token_hex(8), frozenset(Scope))
