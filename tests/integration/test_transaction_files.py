"""Export and import on both engines: no digit is lost, and nothing is there by half."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings

from alphapulse.database.connection import Database
from alphapulse.database.queries.ledger import EntryFilter
from alphapulse.database.repositories.ledger import Sums
from alphapulse.domain.account import Account
from alphapulse.domain.identifiers import AccountId, Asset, UserId
from alphapulse.domain.ledger import Book, Entry, EntryKind, Posting
from alphapulse.domain.transaction_files.reading import FileFormat, Upload
from alphapulse.errors import BadRows
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.clock import SystemClock
from alphapulse.services.idempotency import Answer, IdempotentRequests, RequestKey
from alphapulse.services.transaction_export import ExportFormat, ExportService
from alphapulse.services.transaction_import import ImportService
from alphapulse.services.viewer import Caller, Viewer
from tests.builders import NOW, make_account
from tests.unit.domain.transaction_files.test_own_format import histories

CALLER = Caller(UserId("ada"), None, Viewer(Asset("USD"), None))


class Books:
    """Two accounts in one database, and the two services."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.requests = IdempotentRequests(database, "test")
        self.imports = ImportService(database, self.requests, EventBus(), SystemClock())
        self.exports = ExportService(database)
        name = secrets.token_hex(4)
        self.source = make_account(AccountId(f"source-{name}"))
        self.target = make_account(AccountId(f"target-{name}"))

    async def open(self, history: list[Entry]) -> None:
        async with self.database.begin() as tx:
            for account in (self.source, self.target):
                await tx.accounts.add(account)
            mine = [replace(entry, account_id=self.source.id) for entry in history]
            await tx.ledger.record(mine, NOW)

    async def export(self, form: ExportFormat) -> bytes:
        parts = await self.exports.file([self.source], EntryFilter(), form)
        return b"".join([part async for part in parts])

    async def bring_in(self, content: str, form: FileFormat) -> str | None:
        upload = Upload(self.target.id, "file", content, form)
        key = RequestKey(CALLER.user_id, secrets.token_hex(8), "")
        answer = await self.imports.run(
            CALLER,
            upload,
            key,
            lambda done, _: Answer(201, str(done.entries), done.id),
            all_similar=False,
        )
        return answer.body

    async def sums(self, account: Account) -> Sums:
        async with self.database.read() as tx:
            return await tx.ledger.sums(account.id)

    async def entries(self, account: Account) -> list[Entry]:
        async with self.database.read() as tx:
            stored = await tx.ledger.after(0, 100_000, account_ids={account.id})
        return [one.entry for one in stored]


@asynccontextmanager
async def opened(database: Database, history: list[Entry]) -> AsyncIterator[Books]:
    books = Books(database)
    await books.open(history)
    async with books.requests.running():
        yield books


@pytest.mark.parametrize("form", ["csv", "json"])
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories)
async def test_what_was_exported_makes_the_same_sums_elsewhere(
    database: Database, form: str, history: list[Entry]
) -> None:
    async with opened(database, history) as books:
        content = (await books.export(ExportFormat(form))).decode()
        await books.bring_in(content, FileFormat(form))
        assert await books.sums(books.target) == await books.sums(books.source)
        assert await books.bring_in(content, FileFormat(form)) == "0"
        assert await books.sums(books.target) == await books.sums(books.source)


def deposits(count: int) -> list[Entry]:
    quantity = Decimal("0.00000001")
    return [
        Entry(
            AccountId("any"),
            EntryKind.DEPOSIT,
            f"k{number}",
            datetime(2026, 1, 1, tzinfo=UTC),
            (Posting(Book.VENUE, "BTC", quantity), Posting(Book.EXTERNAL, "BTC", -quantity)),
        )
        for number in range(count)
    ]


async def test_pages_of_equal_times_are_all_there_and_once(database: Database) -> None:
    async with opened(database, deposits(1200)) as books:
        content = (await books.export(ExportFormat.CSV)).decode()
        assert await books.bring_in(content, FileFormat.CSV) == "1200"
        keys = [entry.key for entry in await books.entries(books.target)]
        assert keys == [entry.key for entry in await books.entries(books.source)]


async def test_what_is_recorded_during_an_export_is_not_in_it(database: Database) -> None:
    async with opened(database, deposits(600)) as books:
        parts = await books.exports.file([books.source], EntryFilter(), ExportFormat.CSV)
        read = [await anext(parts), await anext(parts)]
        async with database.begin() as tx:
            late = replace(deposits(601)[-1], account_id=books.source.id)
            await tx.ledger.record([late], NOW)
        read += [part async for part in parts]
        assert b"".join(read).count(b"\r\n") == 601


async def test_an_error_late_in_an_import_leaves_nothing_of_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database, deposits(1200)) as books:
        content = (await books.export(ExportFormat.CSV)).decode()
        with pytest.raises(BadRows):
            await books.bring_in(content + "x\r\n", FileFormat.CSV)
        assert await books.entries(books.target) == []

        class PowerCutError(Exception):
            pass

        from alphapulse.database.repositories.imports import Imports

        calls = 0
        link = Imports.link

        async def cut(self: Imports, *values: object) -> None:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise PowerCutError
            await link(self, *values)  # type: ignore[arg-type]

        monkeypatch.setattr(Imports, "link", cut)
        with pytest.raises(PowerCutError):
            await books.bring_in(content, FileFormat.CSV)
        assert await books.entries(books.target) == []
        assert not await books.sums(books.target)
        assert not await books.imports.list([books.target])


async def test_an_import_is_taken_back_on_both_engines(database: Database) -> None:
    async with opened(database, deposits(1200)) as books:
        content = (await books.export(ExportFormat.CSV)).decode()
        await books.bring_in(content, FileFormat.CSV)
        (done,) = await books.imports.list([books.target])
        await books.imports.undo(
            CALLER,
            done.id,
            RequestKey(CALLER.user_id, "undo", ""),
            lambda undone: Answer(200, "", undone.id),
        )
        assert not any(one.quantity for one in (await books.sums(books.target)).values())
        async with database.begin() as tx:
            assert not await tx.ledger.rebuild(books.target.id)
        assert len(await books.entries(books.target)) == 2400
        assert await books.bring_in(content, FileFormat.CSV) == "1200"
        assert await books.sums(books.target) == await books.sums(books.source)
