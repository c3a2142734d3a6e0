"""Lots: what is held at which cost, what became of the rest, and what people say about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.queries.lots import (
    LotFilter,
    disposal_page,
    held_lots,
    lacks_basis,
    lot_page,
)
from alphapulse.database.queries.page import Page
from alphapulse.database.repositories.bookkeeping import BasisBook
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.account import Account
from alphapulse.domain.clock import Clock
from alphapulse.domain.cost_basis.disposals import Disposal
from alphapulse.domain.cost_basis.lots import Lot, LotId, Method
from alphapulse.domain.cost_basis.records import Place, Repair
from alphapulse.domain.events import BasisQuestioned
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import RecordedEntry
from alphapulse.domain.rebalance.gains import HeldLots
from alphapulse.domain.transfer_matching import EntryRef, Match, Pair, match_transfers
from alphapulse.errors import InvalidInput, NotFound, NotReady
from alphapulse.runtime.bus import EventBus
from alphapulse.services.viewer import Caller, load_account


@dataclass(frozen=True, slots=True)
class LotsWanted:
    """Of these accounts, in this book currency, by this method."""

    accounts: Sequence[Account]
    currency: Asset
    method: Method
    asset: Asset | None = None


@dataclass(frozen=True, slots=True)
class RepairWanted:
    """What a lot of unknown basis cost, all of it, in the caller's currency, and since when."""

    account_id: AccountId
    lot_id: LotId
    cost: Decimal
    acquired_at: datetime | None


class LotService:
    """Reads what the bookkeeper stores. What people say is stored, and counted again from there."""

    def __init__(self, database: Database, bus: EventBus, clock: Clock) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock

    async def lots(self, wanted: LotsWanted, *, cursor: str | None, limit: int) -> Page[Lot]:
        """What is held, newest first.

        Raises:
            NotReady: nothing is counted yet in this currency.
            InvalidInput: a cursor that is not ours.
        """
        async with self._database.read() as unit:
            found = await _filter(unit, wanted)
            return await lot_page(unit, found, cursor=cursor, limit=limit)

    async def held(self, wanted: LotsWanted) -> HeldLots | None:
        """All that is held; ``None`` where nothing is counted in this currency, or the books lack
        what was recorded last: a sale could take other lots by then."""
        async with self._database.read() as unit:
            try:
                books = await _books(unit, wanted)
            except NotReady:
                return None
            if not books:
                return None
            for book in books:
                mine = [one.id for one in wanted.accounts if (one.owner_id or "") == book.owner_id]
                if await unit.ledger.has_after(mine, book.counted_to):
                    return None
            found = await held_lots(unit, _filter_of(books, wanted))
        by_place: dict[Place, list[Lot]] = {}
        for lot in found:
            by_place.setdefault(Place(lot.account_id, lot.asset), []).append(lot)
        return HeldLots(
            wanted.method,
            min(book.counted_at for book in books),
            {place: tuple(lots) for place, lots in by_place.items()},
        )

    async def disposals(
        self, wanted: LotsWanted, *, cursor: str | None, limit: int
    ) -> Page[Disposal]:
        """What is gone, newest first; raises as `lots`."""
        async with self._database.read() as unit:
            found = await _filter(unit, wanted)
            return await disposal_page(unit, found, cursor=cursor, limit=limit)

    async def repair(self, caller: Caller, said: RepairWanted) -> None:
        """Believe what a person says a lot cost.

        Raises:
            NotFound: no such account, or no lot of unknown basis of that name in it.
            InvalidInput: it was acquired in the future.
            NotReady: nothing is counted yet in this currency.
        """
        now, currency = self._clock.now(), caller.viewer.currency
        if said.acquired_at is not None and said.acquired_at > now:
            raise InvalidInput("it was not acquired yet", field="acquired_at")
        async with self._database.begin() as unit:
            account = await load_account(unit, caller.viewer, said.account_id)
            found = await _filter(unit, LotsWanted([account], currency, Method.FIFO))
            repairs = await unit.repairs.of([account.id], currency)
            if said.lot_id not in repairs and not await lacks_basis(unit, found, said.lot_id):
                raise NotFound("no lot of unknown basis has this name", lot=said.lot_id[:200])
            repair = Repair(said.cost, said.acquired_at)
            await unit.repairs.save(
                account.id, said.lot_id, currency, repair, by=caller.user_id, now=now
            )
        self._bus.publish(BasisQuestioned())
        logger.bind(account_id=account.id, lot=said.lot_id).info("the basis of a lot was said")

    async def transfers(self, accounts: Sequence[Account]) -> dict[int, Match]:
        """Those with an end in these accounts, by id, the oldest first."""
        async with self._database.read() as unit:
            return dict(await unit.transfers.matches([account.id for account in accounts]))

    async def make_transfer(self, caller: Caller, outgoing_id: int, incoming_id: int) -> Match:
        """Hold two movements to be one transfer.

        Raises:
            NotFound: no such movement.
            InvalidInput: they are not the two ends of one transfer between one owner's accounts.
        """
        async with self._database.begin() as unit:
            sent, came = await _ends(unit, caller, outgoing_id, incoming_id)
            pair = (_ref(sent), _ref(came))
            match = _match(sent, came, pair)
            now = self._clock.now()
            for other in (await unit.transfers.matches([match.outgoing.account_id])).values():
                # An end has one other end: what it was matched with before is undone.
                if other.outgoing == match.outgoing and other.incoming != match.incoming:
                    await unit.transfers.decide(
                        (other.outgoing, other.incoming), is_made=False, by=caller.user_id, now=now
                    )
            await unit.transfers.decide(pair, is_made=True, by=caller.user_id, now=now)
        self._bus.publish(BasisQuestioned())
        return match

    async def undo_transfer(self, caller: Caller, match_id: int) -> None:
        """Hold the two ends of a match to be two movements, for good.

        Raises:
            NotFound: no such match.
        """
        async with self._database.begin() as unit:
            mine = [one.id for one in await unit.accounts.list() if caller.viewer.may_see(one)]
            match = (await unit.transfers.matches(mine)).get(match_id)
            if match is None:
                raise NotFound("no such transfer", transfer=match_id)
            pair = (match.outgoing, match.incoming)
            now = self._clock.now()
            await unit.transfers.decide(pair, is_made=False, by=caller.user_id, now=now)
        self._bus.publish(BasisQuestioned())


async def _filter(unit: UnitOfWork, wanted: LotsWanted) -> LotFilter:
    return _filter_of(await _books(unit, wanted), wanted)


async def _books(unit: UnitOfWork, wanted: LotsWanted) -> list[BasisBook]:
    owners = {account.owner_id or "" for account in wanted.accounts}
    books = [
        book
        for book in await unit.bookkeeping.books()
        if book.is_current and book.currency == wanted.currency and book.owner_id in owners
    ]
    if len(books) < len(owners):
        raise NotReady("lots are still being counted", currency=wanted.currency)
    return books


def _filter_of(books: Sequence[BasisBook], wanted: LotsWanted) -> LotFilter:
    return LotFilter(
        [book.id for book in books],
        wanted.method,
        [account.id for account in wanted.accounts],
        wanted.asset,
    )


async def _ends(
    unit: UnitOfWork, caller: Caller, outgoing_id: int, incoming_id: int
) -> tuple[RecordedEntry, RecordedEntry]:
    found = {stored.id: stored for stored in await unit.ledger.by_ids({outgoing_id, incoming_id})}
    owners = set()
    for wanted in (outgoing_id, incoming_id):
        if wanted not in found:
            raise NotFound("no such movement", transaction=wanted)
        try:
            account = await load_account(unit, caller.viewer, found[wanted].entry.account_id)
        except NotFound:
            raise NotFound("no such movement", transaction=wanted) from None
        owners.add(account.owner_id)
    if len(owners) > 1:
        raise InvalidInput("the accounts belong to different people", field="incoming_id")
    return found[outgoing_id], found[incoming_id]


def _ref(stored: RecordedEntry) -> EntryRef:
    return EntryRef(stored.entry.account_id, stored.entry.key)


def _match(sent: RecordedEntry, came: RecordedEntry, pair: Pair) -> Match:
    try:
        (match,) = match_transfers([sent.entry, came.entry], made=[pair])
    except ValueError as error:
        raise InvalidInput(
            "not an outgoing and an incoming movement of one asset", field="incoming_id"
        ) from error
    if match.received > match.sent:
        raise InvalidInput("more came in than was sent", field="incoming_id")
    return match
