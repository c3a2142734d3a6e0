"""Users: the first one, logging in and out, and who is behind a credential."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.repositories.users import StoredUser
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain import identifiers
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import UserId
from alphapulse.domain.session import Session, SessionKind
from alphapulse.domain.user import Role, User
from alphapulse.errors import (
    Conflict,
    InvalidCredentials,
    NotFound,
    SetupCodeInvalid,
    TokenExpired,
    TokenRevoked,
    Unauthenticated,
    UserDisabled,
)
from alphapulse.security import opaque
from alphapulse.security.passwords import Passwords, require_acceptable
from alphapulse.security.rate_limit import LoginLimiter
from alphapulse.security.rotation import RecentRotations
from alphapulse.security.scopes import scopes_of
from alphapulse.security.tokens import (
    LIFETIME_S,
    LOCAL_OPERATOR,
    Access,
    TokenIssuer,
    TokenVerifier,
)
from alphapulse.services.viewer import Viewer, viewer_of

SETUP_CODE_LIFE = timedelta(minutes=15)
BROWSER_LIFE = timedelta(hours=12)
BROWSER_IDLE = timedelta(minutes=30)
API_LIFE = timedelta(days=30)
TOUCH_EVERY = timedelta(minutes=1)
"""How exact ``last_seen_at`` is; one write a request would be the dearest part of most of them."""

COOKIES_KNOWN = 4096


@dataclass(frozen=True, slots=True)
class Device:
    """Where a login comes from, for the user to recognize it by."""

    address: str
    agent: str | None
    kind: SessionKind

    @property
    def client(self) -> str:
        """What one program at one place has in common from request to request."""
        return f"{self.agent} at {self.address}"


@dataclass(frozen=True, slots=True)
class Login:
    """A session that just began or went on. ``token`` is the cookie of a browser, or the refresh
    token of any other client."""

    user: User
    session: Session
    access_token: str = field(repr=False)
    token: str = field(repr=False)
    previous: Session | None


@dataclass(slots=True)
class _Browser:
    """A cookie that was looked up."""

    session: Session
    user: User
    touched_at: datetime

    def known_until(self) -> datetime:
        """When the database is asked again, which notes that the session is in use."""
        return min(self.session.expires_at, self.touched_at + TOUCH_EVERY)


class UserService:
    """Everything about who is there. The only place where sessions begin and end."""

    def __init__(
        self,
        database: Database,
        issuer: TokenIssuer,
        verifier: TokenVerifier,
        passwords: Passwords,
        clock: Clock,
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._verifier = verifier
        self._passwords = passwords
        self._clock = clock
        self._logins = LoginLimiter(clock)
        self._rotations = RecentRotations(clock)
        self._browsers: OrderedDict[str, _Browser] = OrderedDict()
        self._users: dict[UserId, User] = {}
        self._viewers: dict[UserId, Viewer] = {}
        self._ended: list[Callable[[str], None]] = []
        self.is_set_up = False
        """Whether a first user exists; until then nothing but the set-up answers."""
        self.revision = 0
        """Counts what may give a known credential another meaning: a session that ended, a user
        who changed."""

    @property
    def access_lifetime_s(self) -> int:
        return self._issuer.lifetime_s

    async def load(self) -> None:
        """Learn at the start what the last process knew: who exists, which tokens are revoked."""
        recently = self._clock.now() - timedelta(seconds=LIFETIME_S)
        async with self._database.read() as unit:
            self.is_set_up = await unit.users.count() > 0
            for session_id in await unit.sessions.ended_since(recently):
                self._verifier.revoke(session_id)

    def on_session_end(self, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with the id of each session that is revoked."""
        self._ended.append(listener)

    # Set-up

    async def make_setup_code(self) -> str:
        """A code that makes the first user, good once and for 15 minutes.

        Raises:
            Conflict: a user exists already.
        """
        code = opaque.new_setup_code()
        async with self._database.begin() as unit:
            if await unit.users.count():
                raise Conflict("the set-up is finished already")
            expires_at = self._clock.now() + SETUP_CODE_LIFE
            await unit.setup_codes.add(opaque.setup_code_hash(code), expires_at)
        return code

    async def set_up(
        self, code: str, username: str, password: str, currency: str, device: Device
    ) -> Login:
        """Make the first user, an administrator, and log them in.

        Raises:
            SetupCodeInvalid: wrong, spent or too old.
            InvalidInput: the password is too weak; the code stays good.
            Conflict: somebody else was first.
            TooManyRequests: too many tries from this address.
        """
        self._logins.attempt(username, device.address)
        require_acceptable(password, username=username)
        user = self._new_admin(username, currency)
        password_hash = await self._passwords.hash(password)
        async with self._database.begin() as unit:
            if not await unit.setup_codes.spend(opaque.setup_code_hash(code), self._clock.now()):
                raise SetupCodeInvalid("the set-up code is wrong, spent or older than 15 minutes")
            if await unit.users.count():
                raise Conflict("the set-up is finished already")
            await unit.users.add(user, password_hash)
        self.is_set_up = True
        self._logins.succeeded(username)
        logger.bind(username=username).info("first user made")
        return await self._begin(user, device, previous=None)

    # Sessions

    async def log_in(self, username: str, password: str, device: Device) -> Login:
        """Begin a session. An unknown name takes as long and says the same as a wrong password.

        Raises:
            InvalidCredentials: name or password is wrong.
            UserDisabled: both are right, and the user is switched off.
            TooManyRequests: more than 5 tries a minute for this name or from this address.
        """
        self._logins.attempt(username, device.address)
        async with self._database.read() as unit:
            stored = await unit.users.by_name(username)
        password_hash = None if stored is None else stored.password_hash
        is_right = await self._passwords.verify(password_hash, password)
        if stored is None or not is_right:
            logger.bind(address=device.address).warning("login failed")
            raise InvalidCredentials("wrong username or password")
        if stored.user.is_disabled:
            raise UserDisabled("this user is switched off")
        self._logins.succeeded(username)
        await self._rehash_if_outdated(stored, password)
        async with self._database.read() as unit:
            sessions = await unit.sessions.list(stored.user.id)
        previous = max(sessions, key=lambda session: session.created_at, default=None)
        return await self._begin(stored.user, device, previous)

    async def refresh(self, token: str, device: Device) -> Login:
        """Exchange a refresh token for a new one and a new access token.

        A token that comes a second time was stolen, by the one or the other: its whole session
        ends. Only a client that lost the answer gets the same one again, within 10 s and before
        it used what it got.

        Raises:
            Unauthenticated: not one of ours.
            TokenExpired: the session is over; log in again.
            TokenRevoked: the session was ended, or is ended now because the token was spent.
        """
        now = self._clock.now()
        spent, new = opaque.token_hash(token), opaque.new_token()
        async with self._database.begin() as unit:
            found = await unit.sessions.by_hash(spent)
            if found is None or found.session.kind is not SessionKind.API:
                raise Unauthenticated("not a valid refresh token")
            session = found.session
            _require_live(session, now)
            if await unit.sessions.exchange(spent, opaque.token_hash(new), now):
                self._rotations.add(spent, new, device.client)
            successor = await self._unspent_successor(unit, spent, device)
            if successor is None:
                await unit.sessions.revoke(session.id, now)
            else:
                await unit.sessions.touch(session.id, now)
            user = await unit.users.load(session.user_id)
        if successor is None:
            logger.bind(session=session.id).warning("spent refresh token used again; session ended")
            self._forget_session(session.id)
            raise TokenRevoked("this refresh token was used before; its session is ended")
        _require_enabled(user)
        return self._login(user, session, successor, previous=None)

    async def log_out(self, session_id: str) -> None:
        """End a session: its tokens, its cookie and its WebSockets, from the next request on."""
        async with self._database.begin() as unit:
            await unit.sessions.revoke(session_id, self._clock.now())
        self._forget_session(session_id)

    # Who is it?

    def verify_token(self, token: str) -> Access:
        """Say who holds an access token; raises as `TokenVerifier.verify`."""
        return self._verifier.verify(token)

    def verify_known_cookie(self, cookie: str) -> Access | None:
        """Say whose cookie this is without asking the database; ``None`` when that is needed."""
        browser = self._browsers.get(cookie)
        if browser is None or browser.known_until() <= self._clock.now():
            return None
        return _access(browser)

    async def verify_cookie(self, cookie: str) -> Access:
        """Say whose cookie this is, and note that it was used.

        Raises:
            Unauthenticated: not one of ours.
            TokenExpired: idle for 30 minutes, or older than 12 hours.
            TokenRevoked: logged out.
        """
        known = self.verify_known_cookie(cookie)
        if known is not None:
            return known
        now = self._clock.now()
        async with self._database.begin() as unit:
            found = await unit.sessions.by_hash(opaque.token_hash(cookie))
            if found is None or found.session.kind is not SessionKind.BROWSER:
                raise Unauthenticated("not a valid session")
            session = found.session
            _require_live(session, now)
            if now - session.last_seen_at > BROWSER_IDLE:
                raise TokenExpired("the session was idle for too long")
            await unit.sessions.touch(session.id, now)
            user = await unit.users.load(session.user_id)
        _require_enabled(user)
        return self._remember(cookie, _Browser(session, user, now))

    def known_viewer(self, user_id: UserId) -> Viewer | None:
        """How this user sees the portfolio, when the user was loaded before."""
        return self._viewers.get(user_id)

    async def viewer(self, user_id: UserId) -> Viewer:
        """How this user sees the portfolio."""
        return viewer_of(await self.load_user(user_id))

    async def load_user(self, user_id: UserId) -> User:
        """The user of a valid credential.

        Raises:
            TokenRevoked: there is no such user any more.
            UserDisabled: the user was switched off.
        """
        if user_id not in self._users:
            self._know(await self._load_user(user_id))
        user = self._users[user_id]
        _require_enabled(user)
        return user

    @staticmethod
    def owner_id(user_id: UserId) -> UserId | None:
        """Whose an account is that ``user_id`` connects.

        A command on this machine is no user: what it connects is the administrators'.
        """
        return None if user_id == LOCAL_OPERATOR else user_id

    async def sessions(self, user_id: UserId) -> tuple[Session, ...]:
        """Where a user is logged in now, the last used first."""
        now = self._clock.now()
        async with self._database.read() as unit:
            return tuple(s for s in await unit.sessions.list(user_id) if s.is_live(now))

    async def _load_user(self, user_id: UserId) -> User:
        if user_id == LOCAL_OPERATOR:
            return self._new_admin(LOCAL_OPERATOR, "USD", user_id=LOCAL_OPERATOR)
        async with self._database.read() as unit:
            try:
                return await unit.users.load(user_id)
            except NotFound as error:
                raise TokenRevoked("this user does not exist any more") from error

    async def _unspent_successor(self, unit: UnitOfWork, spent: str, device: Device) -> str | None:
        successor = self._rotations.successor(spent, device.client)
        if successor is None:
            return None
        found = await unit.sessions.by_hash(opaque.token_hash(successor))
        return None if found is None or found.is_spent else successor

    async def _rehash_if_outdated(self, stored: StoredUser, password: str) -> None:
        if self._passwords.is_outdated(stored.password_hash):
            password_hash = await self._passwords.hash(password)
            async with self._database.begin() as unit:
                await unit.users.save(stored.user, password_hash)

    async def _begin(self, user: User, device: Device, previous: Session | None) -> Login:
        now = self._clock.now()
        token = opaque.new_token()
        is_browser = device.kind is SessionKind.BROWSER
        session = Session(
            id=secrets.token_hex(16),
            user_id=user.id,
            kind=device.kind,
            created_at=now,
            last_seen_at=now,
            expires_at=now + (BROWSER_LIFE if is_browser else API_LIFE),
            ip=device.address,
            agent=device.agent,
        )
        user = replace(user, last_login_at=now)
        async with self._database.begin() as unit:
            await unit.sessions.add(session, opaque.token_hash(token))
            await unit.users.save(user)
        self._know(user)
        if is_browser:
            self._remember(token, _Browser(session, user, now))
        return self._login(user, session, token, previous)

    def _login(self, user: User, session: Session, token: str, previous: Session | None) -> Login:
        access_token = self._issuer.issue(user.id, session.id, scopes_of(user.role))
        return Login(user, session, access_token, token, previous)

    def _remember(self, cookie: str, browser: _Browser) -> Access:
        self._know(browser.user)
        self._browsers[cookie] = browser
        if len(self._browsers) > COOKIES_KNOWN:
            self._browsers.popitem(last=False)
        return _access(browser)

    def _know(self, user: User) -> None:
        self.revision += 1
        self._users[user.id] = user
        if user.is_disabled:
            self._viewers.pop(user.id, None)
        else:
            self._viewers[user.id] = viewer_of(user)

    def _forget_session(self, session_id: str) -> None:
        self.revision += 1
        self._verifier.revoke(session_id)
        for cookie in [c for c, b in self._browsers.items() if b.session.id == session_id]:
            del self._browsers[cookie]
        for listener in self._ended:
            listener(session_id)

    def _new_admin(self, username: str, currency: str, user_id: UserId | None = None) -> User:
        return User(
            id=user_id or UserId(secrets.token_hex(8)),
            username=username,
            role=Role.ADMIN,
            currency=identifiers.asset(currency.upper()),
            timezone="UTC",
            version=1,
            is_disabled=False,
            created_at=self._clock.now(),
            last_login_at=None,
        )


def _access(browser: _Browser) -> Access:
    return Access(
        user_id=browser.user.id,
        session_id=browser.session.id,
        scopes=scopes_of(browser.user.role),
        expires_at=browser.known_until(),
    )


def _require_live(session: Session, now: datetime) -> None:
    if session.revoked_at is not None:
        raise TokenRevoked("the session was ended")
    if not session.is_live(now):
        raise TokenExpired("the session is over")


def _require_enabled(user: User) -> None:
    if user.is_disabled:
        raise UserDisabled("this user is switched off")
