"""Repository Pattern Implementation: what people say about lots and transfers."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import delete, or_, select

from alphapulse.database.statements import Statements
from alphapulse.database.tables.bookkeeping import (
    basis_repairs,
    transfer_decisions,
    transfer_matches,
)
from alphapulse.domain.cost_basis.lots import LotId
from alphapulse.domain.cost_basis.records import Repair
from alphapulse.domain.identifiers import AccountId, Asset, UserId
from alphapulse.domain.transfer_matching import EntryRef, Match, Pair


class Repairs:
    """One for each lot and currency; the last word counts."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def save(
        self,
        account_id: AccountId,
        lot_id: LotId,
        currency: Asset,
        repair: Repair,
        *,
        by: UserId,
        now: datetime,
    ) -> None:
        row = {
            "lot_id": lot_id,
            "currency": currency,
            "account_id": account_id,
            "cost": repair.cost,
            "acquired_at": repair.acquired_at,
            "said_by": by,
            "said_at": now,
        }
        await self._statements.upsert(basis_repairs, [row])

    async def of(self, account_ids: Collection[AccountId], currency: Asset) -> dict[LotId, Repair]:
        """By lot."""
        c = basis_repairs.c
        wanted = select(c.lot_id, c.cost, c.acquired_at).where(
            c.account_id.in_(account_ids), c.currency == currency
        )
        rows = await self._statements.rows(wanted)
        return {LotId(row.lot_id): Repair(row.cost, row.acquired_at) for row in rows}


@dataclass(frozen=True, slots=True)
class Decisions:
    """Pairs of movements that a person made one transfer, and those they undid."""

    made: tuple[Pair, ...]
    refused: tuple[Pair, ...]


class Transfers:
    """Matches as they were found last, and what people decided."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def decide(self, pair: Pair, *, is_made: bool, by: UserId, now: datetime) -> None:
        """The last word on a pair counts."""
        outgoing, incoming = pair
        row = {
            "outgoing_account_id": outgoing.account_id,
            "outgoing_key": outgoing.key,
            "incoming_account_id": incoming.account_id,
            "incoming_key": incoming.key,
            "is_made": is_made,
            "decided_by": by,
            "decided_at": now,
        }
        await self._statements.upsert(transfer_decisions, [row])

    async def decisions(self, account_ids: Collection[AccountId]) -> Decisions:
        """Between these accounts, the oldest first."""
        c = transfer_decisions.c
        mine = c.outgoing_account_id.in_(account_ids) & c.incoming_account_id.in_(account_ids)
        wanted = select(transfer_decisions).where(mine).order_by(c.decided_at, c.outgoing_key)
        made: list[Pair] = []
        refused: list[Pair] = []
        for row in await self._statements.rows(wanted):
            pair = (
                EntryRef(row.outgoing_account_id, row.outgoing_key),
                EntryRef(row.incoming_account_id, row.incoming_key),
            )
            (made if row.is_made else refused).append(pair)
        return Decisions(tuple(made), tuple(refused))

    async def matches(self, account_ids: Collection[AccountId]) -> Mapping[int, Match]:
        """Those with an end in these accounts, by id."""
        c = transfer_matches.c
        mine = or_(c.outgoing_account_id.in_(account_ids), c.incoming_account_id.in_(account_ids))
        wanted = select(c.id, c.match).where(mine).order_by(c.sent_at, c.id)
        return {row.id: match_of(row.match) for row in await self._statements.rows(wanted)}

    async def replace(self, account_ids: Collection[AccountId], found: Iterable[Match]) -> None:
        """All between these accounts; those that stay as they are keep their ids."""
        stored, wanted = await self.matches(account_ids), set(found)
        gone = [row_id for row_id, match in stored.items() if match not in wanted]
        if gone:
            await self._statements.run(
                delete(transfer_matches).where(transfer_matches.c.id.in_(gone))
            )
        new = wanted - set(stored.values())
        await self._statements.insert(transfer_matches, [_row(match) for match in new])


def match_of(text: str) -> Match:
    """A stored match."""
    return msgspec.json.decode(text, type=Match)


def _row(match: Match) -> dict[str, object]:
    return {
        "outgoing_account_id": match.outgoing.account_id,
        "outgoing_key": match.outgoing.key,
        "incoming_account_id": match.incoming.account_id,
        "incoming_key": match.incoming.key,
        "sent_at": match.sent_at,
        "match": msgspec.json.encode(match).decode(),
    }
