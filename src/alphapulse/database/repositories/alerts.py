"""Repository Pattern Implementation: raised alerts."""

from datetime import datetime

from sqlalchemy import select, update

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.alert_config import alerts
from alphapulse.domain.alert import Alert

ALERT = Rows(Alert, alerts)


class Alerts:
    """Of one key at most one alert fires; resolved ones stay as history."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def add(self, alert: Alert) -> bool:
        """Raise it, unless one of its key fires already; whether it is new."""
        firing = select(alerts.c.id).where(
            alerts.c.key == alert.key, alerts.c.resolved_at.is_(None)
        )
        if await self._statements.row(firing) is not None:
            return False
        await self._statements.insert(alerts, [ALERT.values(alert)])
        return True

    async def resolve(self, key: str, at: datetime) -> bool:
        """End the one of this key that fires; whether there was one."""
        firing = update(alerts).where(alerts.c.key == key, alerts.c.resolved_at.is_(None))
        return bool(await self._statements.run(firing.values(resolved_at=at)))

    async def list_firing(self) -> tuple[Alert, ...]:
        """Longest first."""
        firing = select(*ALERT.columns).where(alerts.c.resolved_at.is_(None))
        rows = await self._statements.rows(firing.order_by(alerts.c.started_at, alerts.c.id))
        return tuple(ALERT.read(row) for row in rows)
