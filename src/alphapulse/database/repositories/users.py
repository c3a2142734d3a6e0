"""Repository Pattern Implementation: users, and the codes with which the first one is made."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select, update

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.user_settings import setup_codes, users
from alphapulse.domain.identifiers import Asset, UserId
from alphapulse.domain.user import User
from alphapulse.errors import Conflict, NotFound

USER = Rows(User, users)


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user and the hash of the password, which goes nowhere but to the check of a login."""

    user: User
    password_hash: str = field(repr=False)


class Users:
    """Names are unique without regard to case."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def add(self, user: User, password_hash: str) -> None:
        """Raises `Conflict` when the name is taken."""
        if await self.by_name(user.username) is not None:
            raise Conflict("the user name is taken", username=user.username)
        row = USER.values(user, username_key=user.username.casefold(), password_hash=password_hash)
        await self._statements.insert(users, [row])

    async def by_name(self, username: str) -> StoredUser | None:
        wanted = select(*USER.columns, users.c.password_hash)
        row = await self._statements.row(wanted.where(users.c.username_key == username.casefold()))
        return None if row is None else StoredUser(USER.read(row), row.password_hash)

    async def load(self, user_id: UserId) -> User:
        """Raises `NotFound`."""
        row = await self._statements.row(select(*USER.columns).where(users.c.id == user_id))
        if row is None:
            raise NotFound("no such user", user=user_id)
        return USER.read(row)

    async def list(self) -> tuple[User, ...]:
        """The oldest first."""
        ordered = select(*USER.columns).order_by(users.c.created_at, users.c.id)
        return tuple(USER.read(row) for row in await self._statements.rows(ordered))

    async def save(self, user: User, password_hash: str | None = None) -> None:
        """Replace a user; the password too, when its hash is given. Raises `NotFound`."""
        values = USER.values(user, username_key=user.username.casefold())
        if password_hash is not None:
            values["password_hash"] = password_hash
        if not await self._statements.run(
            update(users).where(users.c.id == user.id).values(**values)
        ):
            raise NotFound("no such user", user=user.id)

    async def remove(self, user_id: UserId) -> None:
        """Remove the user with sessions and accounts. Raises `NotFound`."""
        if not await self._statements.run(users.delete().where(users.c.id == user_id)):
            raise NotFound("no such user", user=user_id)

    async def currencies(self) -> tuple[Asset, ...]:
        """In which they see what everything is worth."""
        rows = await self._statements.rows(select(users.c.currency).distinct())
        return tuple(sorted(Asset(row.currency) for row in rows))

    async def count(self) -> int:
        row = await self._statements.row(select(func.count()).select_from(users))
        return int(row[0]) if row else 0


class SetupCodes:
    """One-time codes, known by their hash."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def add(self, code_hash: str, expires_at: datetime) -> None:
        await self._statements.insert(
            setup_codes, [{"code_hash": code_hash, "expires_at": expires_at}]
        )

    async def spend(self, code_hash: str, now: datetime) -> bool:
        """Use a code up; false when it is unknown, expired or was used before."""
        usable = update(setup_codes).where(
            setup_codes.c.code_hash == code_hash,
            setup_codes.c.expires_at > now,
            setup_codes.c.spent_at.is_(None),
        )
        return bool(await self._statements.run(usable.values(spent_at=now)))

    async def prune(self, now: datetime) -> None:
        """Forget the codes that have expired, spent or not."""
        await self._statements.run(setup_codes.delete().where(setup_codes.c.expires_at <= now))
