"""Repository Pattern Implementation: what each exchange lists."""

from collections.abc import Sequence

from sqlalchemy import delete, select

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.exchange_cache import instruments
from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.instrument import Instrument

INSTRUMENT = Rows(Instrument, instruments)

# A key a parameter: well below the 32,766 that SQLite takes, and PostgreSQL's 32,767.
KEYS_PER_STATEMENT = 5000


class Instruments:
    """The instruments of every exchange in use."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def replace(self, exchange: ExchangeId, listed: Sequence[Instrument]) -> bool:
        """Make ``listed`` all that ``exchange`` has; whether anything differed.

        Thousands are listed and hardly one changes, so only what differs is written.
        """
        known = {i.symbol: i for i in await self.list(exchange)}
        told = {i.symbol: i for i in listed}
        changed = [i for symbol, i in told.items() if known.get(symbol) != i]
        gone = [symbol for symbol in known if symbol not in told]
        for start in range(0, len(gone), KEYS_PER_STATEMENT):
            await self._statements.run(
                delete(instruments).where(
                    instruments.c.exchange == exchange,
                    instruments.c.symbol.in_(gone[start : start + KEYS_PER_STATEMENT]),
                )
            )
        await self._statements.upsert(instruments, [INSTRUMENT.values(i) for i in changed])
        return bool(changed or gone)

    async def find(self, exchange: ExchangeId, symbol: Symbol) -> Instrument | None:
        """One of them, as last listed."""
        c = instruments.c
        wanted = select(*INSTRUMENT.columns).where(c.exchange == exchange, c.symbol == symbol)
        row = await self._statements.row(wanted)
        return None if row is None else INSTRUMENT.read(row)

    async def list(self, exchange: ExchangeId) -> tuple[Instrument, ...]:
        """All of one exchange, by symbol."""
        wanted = select(*INSTRUMENT.columns).where(instruments.c.exchange == exchange)
        rows = await self._statements.rows(wanted.order_by(instruments.c.symbol))
        return tuple(INSTRUMENT.read(row) for row in rows)
