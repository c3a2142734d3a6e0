"""Repository Pattern Implementation: logins, and the tokens that hold them.

A session is known by the hash of its token. An API client's refresh token is exchanged for a new
one each time; the old ones stay, marked, so that a stolen one gives itself away when it is used.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.user_settings import session_tokens, sessions
from alphapulse.domain.identifiers import UserId
from alphapulse.domain.session import Session

SESSION = Rows(Session, sessions)


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session found by one of its tokens. ``is_spent``: the token was exchanged before."""

    session: Session
    is_spent: bool


class Sessions:
    """Browser sessions and families of refresh tokens alike."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def add(self, session: Session, token_hash: str) -> None:
        """Begin a session that ``token_hash`` opens."""
        await self._statements.insert(sessions, [SESSION.values(session)])
        await self._add_token(session.id, token_hash, session.created_at)

    async def by_hash(self, token_hash: str) -> StoredSession | None:
        """Whatever its state: revoked, expired and spent are for the caller to see."""
        row = await self._statements.row(
            select(*SESSION.columns, session_tokens.c.spent_at)
            .join(session_tokens, session_tokens.c.session_id == sessions.c.id)
            .where(session_tokens.c.token_hash == token_hash)
        )
        return None if row is None else StoredSession(SESSION.read(row), row.spent_at is not None)

    async def exchange(self, token_hash: str, new_hash: str, now: datetime) -> bool:
        """Spend a token for a new one of the same session; false when it was spent before."""
        this = session_tokens.c.token_hash == token_hash
        spend = update(session_tokens).where(this, session_tokens.c.spent_at.is_(None))
        if not await self._statements.run(spend.values(spent_at=now)):
            return False
        row = await self._statements.row(select(session_tokens.c.session_id).where(this))
        assert row is not None, "it was spent a moment ago"
        await self._add_token(row.session_id, new_hash, now)
        return True

    async def touch(
        self, session_id: str, now: datetime, expires_at: datetime | None = None
    ) -> None:
        """Note that it was used, and prolong it where a new end is given."""
        values = {"last_seen_at": now} | ({"expires_at": expires_at} if expires_at else {})
        await self._statements.run(
            update(sessions).where(sessions.c.id == session_id).values(**values)
        )

    async def revoke(self, session_id: str, now: datetime) -> bool:
        """End it; whether it was not ended before."""
        mine = update(sessions).where(sessions.c.id == session_id, sessions.c.revoked_at.is_(None))
        return bool(await self._statements.run(mine.values(revoked_at=now)))

    async def list(self, user_id: UserId) -> tuple[Session, ...]:
        """All of a user's, the last used first."""
        mine = select(*SESSION.columns).where(sessions.c.user_id == user_id)
        rows = await self._statements.rows(mine.order_by(sessions.c.last_seen_at.desc()))
        return tuple(SESSION.read(row) for row in rows)

    async def ended_since(self, moment: datetime) -> tuple[str, ...]:
        """The ids of sessions that were ended then or later, whoever's they were."""
        ended = select(sessions.c.id).where(sessions.c.revoked_at >= moment)
        return tuple(row.id for row in await self._statements.rows(ended))

    async def prune(self, before: datetime) -> None:
        """Forget, with their tokens, the sessions that were over by then."""
        is_over = (sessions.c.expires_at < before) | (sessions.c.revoked_at < before)
        await self._statements.run(sessions.delete().where(is_over))

    async def _add_token(self, session_id: str, token_hash: str, issued_at: datetime) -> None:
        row = {"token_hash": token_hash, "session_id": session_id, "issued_at": issued_at}
        await self._statements.insert(session_tokens, [row])
