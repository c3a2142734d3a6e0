"""Repository Pattern Implementation: what people say an asset is worth."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Update, select, update

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.bookkeeping import manual_prices
from alphapulse.domain.identifiers import Asset, UserId
from alphapulse.domain.manual_prices import ManualPrice

PRICE = Rows(ManualPrice, manual_prices)


class ManualPrices:
    """Of one asset and moment the last word counts. What was replaced or taken back stays in the
    table, with who ended it."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def save(self, price: ManualPrice) -> None:
        """Believe it from now on."""
        before = _end(price.asset, price.as_of, by=price.said_by, at=price.said_at)
        await self._statements.run(before)
        await self._statements.insert(manual_prices, [PRICE.values(price)])

    async def take_back(
        self, asset: Asset, as_of: datetime | None, *, by: UserId, at: datetime
    ) -> int:
        """All that was said of an asset, or only of one moment; how many prices that were."""
        return await self._statements.run(_end(asset, as_of, by=by, at=at))

    async def list(self, asset: Asset | None = None) -> Sequence[ManualPrice]:
        """All that counts, by asset, the latest moment first."""
        c = manual_prices.c
        wanted = select(*PRICE.columns).where(c.ended_at.is_(None))
        if asset is not None:
            wanted = wanted.where(c.asset == asset)
        ordered = wanted.order_by(c.asset, c.as_of.desc(), c.id.desc())
        return [PRICE.read(row) for row in await self._statements.rows(ordered)]


def _end(asset: Asset, as_of: datetime | None, *, by: UserId, at: datetime) -> Update:
    c = manual_prices.c
    ended = update(manual_prices).where(c.asset == asset, c.ended_at.is_(None))
    if as_of is not None:
        ended = ended.where(c.as_of == as_of)
    return ended.values(ended_by=by, ended_at=at)
