"""Lots and gains in both real databases: counted as the ledger grows, cut off, and counted anew."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from alphapulse.database.connection import Database, open_database
from alphapulse.database.repositories.bookkeeping import disposal_of
from alphapulse.database.settings import DatabaseSettings
from alphapulse.database.tables.bookkeeping import disposals
from alphapulse.domain.cash_flow import FlowKind
from alphapulse.domain.cost_basis.disposals import Disposal
from alphapulse.domain.cost_basis.figures import Figures, Missing, PlaceFigures
from alphapulse.domain.cost_basis.lots import BasisQuality, Lot, Method
from alphapulse.domain.cost_basis.records import Repair, Unexplained
from alphapulse.domain.events import BasisChanged, LedgerChanged
from alphapulse.domain.identifiers import AccountId, Asset, UserId
from alphapulse.domain.ledger import Entry, reversal_of
from alphapulse.domain.manual_prices import ManualPrice
from alphapulse.domain.money import total
from alphapulse.domain.rate_book import end_of
from alphapulse.domain.rates import Rate, RateQuality, RateWant
from alphapulse.domain.trading import AssetBook
from alphapulse.domain.transaction_files.imports import Import, reversal_key
from alphapulse.domain.transaction_files.reading import FileFormat
from alphapulse.domain.transfer_matching import EntryRef, Evidence
from alphapulse.pipeline.bookkeeping import keeper
from alphapulse.pipeline.bookkeeping.bookkeeper import Bookkeeper
from alphapulse.pipeline.processors.processing import Processing
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.mailbox import Mailbox, Merge
from tests.builders import make_account, make_ticker, make_user
from tests.eventually import eventually
from tests.fixtures.clock import HandClock
from tests.ledgers import bought, day, flowed, sold

A, B = AccountId("a"), AccountId("b")
BTC, USDT, BNB = Asset("BTC"), Asset("USDT"), Asset("BNB")


class Books:
    """A household with two accounts whose books are in USDT."""

    def __init__(self, database: Database, clock: HandClock) -> None:
        self.database = database
        self.clock = clock
        self.keeper = Bookkeeper(database, EventBus(), clock)

    async def open(self) -> None:
        async with self.database.begin() as tx:
            await tx.users.add(make_user(currency="USDT"), "hash")
            for account_id in (A, B):
                await tx.accounts.add(make_account(account_id))

    def restart(self) -> None:
        self.keeper = Bookkeeper(self.database, EventBus(), self.clock)

    async def record(self, *entries: Entry) -> None:
        async with self.database.begin() as tx:
            await tx.ledger.record(entries, self.clock.now())

    async def count(self, *entries: Entry) -> None:
        await self.record(*entries)
        await self.keeper.catch_up()

    async def figures(self, method: Method = Method.FIFO) -> Figures:
        async with self.database.read() as tx:
            (found,) = [f for _, f in await tx.bookkeeping.figures() if f.method is method]
        return found

    async def place(self, account: AccountId = A, asset: Asset = BTC) -> PlaceFigures:
        places = (await self.figures()).places
        return next(one for one in places if (one.account_id, one.asset) == (account, asset))

    async def book_id(self) -> int:
        async with self.database.read() as tx:
            (book,) = await tx.bookkeeping.books()
        assert book.is_current
        return book.id

    async def lots(self, method: Method = Method.FIFO) -> list[Lot]:
        book_id = await self.book_id()
        async with self.database.read() as tx:
            return sorted(await tx.bookkeeping.lots(book_id, method), key=lambda lot: lot.lot_id)

    async def disposals(self, method: Method = Method.FIFO) -> list[Disposal]:
        c = disposals.c
        wanted = select(c.disposal).where(c.book_id == await self.book_id(), c.method == method)
        async with self.database.read() as tx:
            rows = await tx.statements.rows(wanted)
        return sorted((disposal_of(row[0]) for row in rows), key=lambda one: one.id)

    async def picture(self) -> object:
        """All there is to see, by every method."""
        return [
            (await self.lots(m), await self.disposals(m), await self.figures(m)) for m in Method
        ]


@pytest.fixture
async def books(database: Database, clock: HandClock) -> Books:
    books = Books(database, clock)
    await books.open()
    return books


def later(entry: Entry, at: datetime) -> Entry:
    return replace(entry, occurred_at=at)


def trades(count: int) -> list[Entry]:
    """Two bought and one sold again, day by day, with fees in another coin now and then."""
    found = []
    for number in range(count):
        fee = ("0.001", "BNB") if number % 5 == 0 else ("0.1", "USDT")
        if number % 3 == 2:
            found.append(sold(number, "BTC/USDT", "1.5", str(100 + number), fee))
        else:
            found.append(bought(number, "BTC/USDT", "1", str(100 + number), fee))
    return found


def in_and_out(lots: Iterable[Lot], gone: Iterable[Disposal]) -> Decimal:
    left = total([lot.left for lot in lots if lot.asset == BTC])
    return left + total([d.quantity - d.missing for d in gone if d.asset == BTC])


async def test_a_purchase_makes_a_lot_and_a_sale_a_disposal_by_every_method(books: Books) -> None:
    await books.count(
        bought(1, "BTC/USDT", "1", "100"),
        bought(2, "BTC/USDT", "1", "300", ("3", "USDT")),
        sold(3, "BTC/USDT", "1", "400"),
    )
    gains = {m: (await books.disposals(m))[0].gain for m in Method}
    assert gains == {
        Method.FIFO: Decimal(300),
        Method.LIFO: Decimal(97),
        Method.HIFO: Decimal(97),
        Method.AVERAGE: Decimal("198.5"),
    }
    (lot,) = await books.lots()
    assert lot.lot_id == "a|fill:BTC/USDT:2|BTC"
    assert [lot.left, lot.cost, lot.fee_share] == [1, 303, 3]
    place = await books.place()
    assert [place.known, place.cost, place.unknown, place.realized] == [1, 303, 0, 300]


async def test_what_comes_in_pieces_is_counted_as_what_comes_at_once(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "PAGE_ENTRIES", 7)
    monkeypatch.setattr(keeper, "SNAPSHOT_AFTER_ENTRIES", 5)
    now = books.clock.now()
    entries = trades(40)
    young = [later(one, now - timedelta(minutes=40 - n)) for n, one in enumerate(entries[20:])]
    await books.count(*entries[:20])
    for one in young[:10]:
        await books.count(one)
    books.restart()
    await books.count(*young[11:14])
    await books.count(young[10], *young[14:])  # one of them is late
    pieces = await books.picture()

    async with books.database.begin() as tx:
        await tx.bookkeeping.clear(await books.book_id(), 100_000)
    books.restart()
    await books.keeper.catch_up()
    assert await books.picture() == pieces
    for method in Method:
        lots, gone = await books.lots(method), await books.disposals(method)
        assert in_and_out(lots, gone) == 27  # all that was bought, to the last unit


async def test_an_entry_from_long_ago_begins_a_new_book(books: Books) -> None:
    await books.count(bought(2, "BTC/USDT", "1", "300"), sold(3, "BTC/USDT", "1", "400"))
    before = await books.book_id()
    await books.count(bought(1, "BTC/USDT", "1", "100"))
    assert await books.book_id() != before
    assert [d.gain for d in await books.disposals()] == [300]
    assert [lot.cost for lot in await books.lots()] == [300]


async def test_nothing_is_counted_twice_when_there_is_nothing_new(books: Books) -> None:
    await books.count(*trades(9))
    before = await books.picture()
    await books.keeper.catch_up()
    books.restart()
    await books.keeper.catch_up()
    assert await books.picture() == before


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_a_kill_anywhere_between_ledger_and_books_loses_nothing(
    books: Books, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    await books.count(*trades(10))
    begun = 0
    begin = Database.begin

    def dying(database: Database) -> object:
        nonlocal begun
        begun += 1
        if begun == at:
            raise Killed
        return begin(database)

    await books.record(*[later(one, day(30)) for one in trades(12)[10:]])
    monkeypatch.setattr(keeper, "PAGE_ENTRIES", 7)
    monkeypatch.setattr(Database, "begin", dying)
    with pytest.raises(Killed):
        await books.keeper.catch_up()
    monkeypatch.setattr(Database, "begin", begin)
    books.restart()
    await books.keeper.catch_up()
    lots, gone = await books.lots(), await books.disposals()
    assert in_and_out(lots, gone) == 8
    assert (await books.figures()).taken_to == day(30)


async def test_a_transfer_carries_its_basis_and_can_be_undone_and_made_again(books: Books) -> None:
    sent = flowed(2, FlowKind.WITHDRAWAL, "BTC", "-1", reference="0xAB")
    came = flowed(3, FlowKind.DEPOSIT, "BTC", "1", reference="ab", account="b")
    await books.count(bought(1, "BTC/USDT", "1", "100"), sent, came)
    pair = (EntryRef(A, sent.key), EntryRef(B, came.key))
    (lot,) = await books.lots()
    assert [lot.account_id, lot.cost, lot.acquired_at] == [B, 100, day(1)]
    assert [match.evidence for match in lot.transfers] == [Evidence.REFERENCE]

    for is_made, cost in ((False, None), (True, Decimal(100))):
        async with books.database.begin() as tx:
            now = books.clock.now()
            await tx.transfers.decide(pair, is_made=is_made, by=UserId("user-1"), now=now)
        await books.keeper.catch_up()
        assert [lot.cost for lot in await books.lots()] == [cost]
        async with books.database.read() as tx:
            found = await tx.transfers.matches([A, B])
        evidence = [match.evidence for match in found.values()]
        assert evidence == ([Evidence.MANUAL] if is_made else [])


async def test_unknown_basis_is_named_and_repaired(books: Books) -> None:
    await books.count(
        flowed(1, FlowKind.DEPOSIT, "BTC", "2"), sold(2, "BTC/USDT", "1", "400", ("4", "USDT"))
    )
    missing = (await books.figures()).missing
    assert missing == (Missing(A, BTC, Decimal(2), Unexplained.ORIGIN),)
    assert (await books.place()).realized_unknown == 1
    (lot,) = await books.lots()
    assert lot.cost is None

    async with books.database.begin() as tx:
        repair = Repair(Decimal(500), day(-9))
        who, now = UserId("user-1"), books.clock.now()
        await tx.repairs.save(A, lot.lot_id, USDT, repair, by=who, now=now)
    await books.keeper.catch_up()
    assert (await books.figures()).missing == ()
    assert [d.gain for d in await books.disposals()] == [146]
    (lot,) = await books.lots()
    assert [lot.cost, lot.acquired_at] == [250, day(-9)]


async def test_what_history_does_not_explain_is_an_opening_of_unknown_basis(books: Books) -> None:
    book = AssetBook(A, "BTC", Decimal(5), day(2), Decimal(0), Decimal(5), day(2))
    async with books.database.begin() as tx:
        await tx.reconciliations.replace_books(A, [book])
    await books.count(bought(1, "BTC/USDT", "2", "100"))
    opening, purchase = sorted(await books.lots(), key=lambda lot: lot.acquired_at)
    assert [opening.lot_id, opening.left, opening.cost] == ["a|opening|BTC", 3, None]
    assert [purchase.left, purchase.cost] == [2, 200]


async def test_a_price_is_noted_while_it_is_live_and_makes_the_basis(books: Books) -> None:
    now = books.clock.now()
    live = make_ticker(symbol="BNB/USDT", last=Decimal(600), occurred_at=now, received_at=now)
    books.keeper.hear(live)
    reward = flowed(1, FlowKind.REWARD, "BNB", "2", at=now)
    old = flowed(2, FlowKind.REWARD, "BNB", "2")
    await books.count(reward, old)
    (known,) = [lot for lot in await books.lots() if lot.acquired_at == now]
    assert known.cost == 1200
    assert (await books.place(A, BNB)).unknown == 2
    assert [m.reason for m in (await books.figures()).missing] == [Unexplained.RATE]


async def test_a_rate_in_another_currency_is_never_taken(books: Books) -> None:
    at = day(1)
    wrong = Rate(BNB, Decimal(600), Asset("EUR"), at, "table", RateQuality.LIVE)
    async with books.database.begin() as tx:
        await tx.rates.save([wrong])
    await books.count(flowed(1, FlowKind.REWARD, "BNB", "2"))
    assert (await books.place(A, BNB)).unknown == 2


async def test_a_rate_that_is_lacking_is_asked_for_and_counted_with_when_it_is_there(
    books: Books,
) -> None:
    await books.count(flowed(1, FlowKind.REWARD, "BNB", "2"))
    want = RateWant(USDT, BNB, day(1))
    async with books.database.begin() as tx:
        assert await tx.rates.wanted(books.clock.now(), 10) == (want,)
        close = Rate(BNB, Decimal(600), USDT, end_of(day(1)), "market", RateQuality.CLOSE)
        await tx.rates.answer({want: close}, books.clock.now())
    await books.keeper.catch_up()
    assert [(await books.place(A, BNB)).cost, (await books.place(A, BNB)).unknown] == [1200, 0]
    async with books.database.read() as tx:
        assert await tx.rates.want_counts(books.clock.now()) == {}


async def test_what_no_market_tells_is_asked_for_again_later_and_once(books: Books) -> None:
    await books.count(flowed(1, FlowKind.REWARD, "BNB", "2"))
    now = books.clock.now()
    later = now + timedelta(days=7)
    async with books.database.begin() as tx:
        await tx.rates.put_off(await tx.rates.wanted(now, 10), later)
    await books.count(flowed(1, FlowKind.REWARD, "BNB", "3", account=B))
    async with books.database.read() as tx:
        assert await tx.rates.wanted(later - timedelta(seconds=1), 10) == ()
        assert len(await tx.rates.wanted(later, 10)) == 1


async def said(books: Books, value: str, number: int, currency: str = "USDT") -> None:
    """Of BNB, at the end of day ``number``."""
    at, by = day(number) + timedelta(hours=23), UserId("ada")
    price = ManualPrice(BNB, Decimal(value), Asset(currency), at, by, books.clock.now())
    async with books.database.begin() as tx:
        await tx.manual_prices.save(price)


async def test_what_a_person_says_of_a_day_repairs_its_basis_and_taking_it_back_undoes_that(
    books: Books,
) -> None:
    await books.count(bought(1, "BTC/USDT", "1", "100", ("2", "BNB")))
    (lot,) = [lot for lot in await books.lots() if lot.asset == BTC]
    assert lot.quality is not BasisQuality.COMPLETE

    await said(books, "10", 1)
    await said(books, "99", 2)
    books.restart()
    await books.keeper.catch_up()
    (lot,) = [lot for lot in await books.lots() if lot.asset == BTC]
    assert (lot.cost, lot.quality) == (Decimal(120), BasisQuality.COMPLETE)

    await said(books, "11", 1)
    await books.keeper.catch_up()
    (lot,) = [lot for lot in await books.lots() if lot.asset == BTC]
    assert lot.cost == 122

    async with books.database.begin() as tx:
        await tx.manual_prices.take_back(BNB, None, by=UserId("ada"), at=books.clock.now())
    await books.keeper.catch_up()
    (lot,) = [lot for lot in await books.lots() if lot.asset == BTC]
    assert lot.quality is not BasisQuality.COMPLETE


async def test_what_is_said_of_an_asset_that_never_moved_begins_no_new_count(books: Books) -> None:
    await books.count(bought(1, "BTC/USDT", "1", "100", ("2", "BNB")))
    book_id = await books.book_id()
    luna = ManualPrice(Asset("LUNA"), Decimal(2), USDT, day(1), UserId("ada"), day(1))
    async with books.database.begin() as tx:
        await tx.manual_prices.save(luna)
    await books.keeper.catch_up()
    assert await books.book_id() == book_id


async def test_of_what_is_said_in_another_currency_the_rate_of_that_currency_is_asked_for(
    books: Books,
) -> None:
    await said(books, "10", 1, "EUR")
    await books.count(bought(1, "BTC/USDT", "1", "100", ("2", "BNB")))
    wanted = RateWant(USDT, Asset("EUR"), day(1))
    async with books.database.read() as tx:
        assert wanted in await tx.rates.wanted(books.clock.now(), 10)
    close = Rate(Asset("EUR"), Decimal("1.5"), USDT, end_of(day(1)), "x", RateQuality.CLOSE)
    async with books.database.begin() as tx:
        await tx.rates.answer({wanted: close}, books.clock.now())
    await books.keeper.catch_up()
    (lot,) = [lot for lot in await books.lots() if lot.asset == BTC]
    assert (lot.cost, lot.quality) == (Decimal(130), BasisQuality.COMPLETE)


async def test_while_rates_still_come_in_not_each_one_is_a_new_count(books: Books) -> None:
    await books.count(*(flowed(n, FlowKind.REWARD, "BNB", "1") for n in (1, 2, 3)))
    for number in (3, 2, 1):
        want = RateWant(USDT, BNB, day(number))
        close = Rate(BNB, Decimal(600), USDT, end_of(day(number)), "m", RateQuality.CLOSE)
        async with books.database.begin() as tx:
            await tx.rates.answer({want: close}, books.clock.now())
        await books.keeper.catch_up()
        unknown = (await books.place(A, BNB)).unknown
        assert unknown == {3: 2, 2: 2, 1: 0}[number]


async def test_the_processing_worker_counts_when_the_ledger_grows(
    database_settings: DatabaseSettings, books: Books
) -> None:
    mailbox, heard = Mailbox("processing", 100, merge=Merge.FOLD), Mailbox("test", 100)
    bus = EventBus()
    bus.subscribe(heard, BasisChanged)
    async with Processing(mailbox, database_settings, bus, books.clock).running():
        await eventually(lambda: heard.depth == 1)
        await heard.take()
        await books.record(bought(1, "BTC/USDT", "1", "100"))
        mailbox.put(LedgerChanged(A))
        await eventually(lambda: heard.depth == 1)
    async with open_database(database_settings, name="after") as database:
        assert (await Books(database, books.clock).place()).cost == 100


async def test_an_import_that_was_taken_back_leaves_no_lot_and_no_gain(books: Books) -> None:
    await books.count(*trades(5))
    before = [(await books.lots(m), await books.disposals(m)) for m in Method]
    imported = [
        later(sold(90, "BTC/USDT", "1", "500"), day(3)),
        later(bought(91, "BTC/USDT", "7", "1"), day(1)),
        flowed(4, FlowKind.DEPOSIT, "BTC", "3"),
    ]
    await books.count(*imported)
    assert [(await books.lots(m), await books.disposals(m)) for m in Method] != before

    now = books.clock.now()
    done = Import("i", A, UserId("u"), now, "f", FileFormat.CSV, "", 3, 0, 0, 0)
    async with books.database.begin() as tx:
        await tx.imports.add(done)
        await tx.imports.link("i", (await tx.ledger.ids(imported)).values())
        await tx.ledger.record(
            [reversal_of(one, reversal_key("i", one.key), "") for one in imported], now
        )
        await tx.imports.mark_undone("i", UserId("u"), now)
    await books.keeper.catch_up()
    assert [(await books.lots(m), await books.disposals(m)) for m in Method] == before
