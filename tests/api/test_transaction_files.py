"""Transactions as files over HTTP: exported and imported again, a dry run, bad rows, undo."""

import csv
import io
import json
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.api.settings import ApiSettings
from alphapulse.database.connection import Database
from alphapulse.domain.account import Account
from alphapulse.domain.cash_flow import FlowKind
from alphapulse.domain.ledger import Entry
from alphapulse.domain.trading import AssetBook
from tests.fixtures.api import RunningApi, body
from tests.ledgers import START, bought, day, flowed, sold

EXPORT = "/api/portfolio/export"
IMPORT = "/api/portfolio/import"
IMPORTS = "/api/portfolio/imports"


def past(account: str) -> list[Entry]:
    """What happened: a deposit, a trade with a fee in a third asset, a contract, a reward."""
    entries = [
        flowed(1, FlowKind.DEPOSIT, "USDT", "1000.00000001", account=account, reference="0xabc"),
        bought(2, "BTC/USDT", "0.5", "100.1", ("0.00002", "BNB"), account),
        sold(3, "BTC/USDT:USDT", "2", "101", None, account),
        flowed(4, FlowKind.REWARD, "BTC", "0.00000001", account=account),
    ]
    entries[3] = replace(entries[3], note='=HYPERLINK("http://evil")')
    return entries


@dataclass
class Files:
    """Two accounts of one user; the first has a past."""

    api: RunningApi
    main: Account
    empty: Account

    @property
    def database(self) -> Database:
        return self.api.services.accounts._database

    async def export(self, query: str = "") -> str:
        answer = await self.api.get(f"{EXPORT}?{query}")
        assert answer.status == 200
        return (await answer.read()).decode()

    async def send(self, content: str, status: int = 200, **more: Any) -> Any:
        """Into the empty account, unless it says otherwise."""
        headers = more.pop("headers", {})
        wanted = {
            "account_id": self.empty.id,
            "file_name": "past.csv",
            "content": content,
            **more,
        }
        return await body(await self.api.post(IMPORT, wanted, headers=headers), status)

    async def bring_in(self, content: str, **more: Any) -> Any:
        return await self.send(content, 201, dry_run=False, **more)

    async def sums(self, account: Account) -> Any:
        async with self.database.read() as tx:
            return {place: s.quantity for place, s in (await tx.ledger.sums(account.id)).items()}

    async def count(self) -> int:
        """Of entries, in every account."""
        async with self.database.read() as tx:
            return len(await tx.ledger.after(0, 10_000))


@pytest.fixture
async def files(api: RunningApi) -> Files:
    main, empty = await api.add_account("main"), await api.add_account("empty")
    async with api.services.accounts._database.begin() as tx:
        await tx.ledger.record(past(main.id), api.clock.now())
    return Files(api, main, empty)


@pytest.mark.parametrize("form", ["csv", "json"])
async def test_an_export_brings_the_same_sums_into_an_empty_account(
    files: Files, form: str
) -> None:
    content = await files.export(f"format={form}&account={files.main.id}")
    done = await files.bring_in(content, format=form)
    assert done["imported"]["new_count"] == 4
    assert await files.sums(files.empty) == await files.sums(files.main)


@pytest.mark.parametrize("form", ["csv", "json"])
async def test_the_same_file_again_writes_nothing(files: Files, form: str) -> None:
    content = await files.export(f"format={form}&account={files.main.id}")
    await files.bring_in(content, format=form)
    count = await files.count()
    again = await files.bring_in(content, format=form)
    assert (again["imported"]["new_count"], again["imported"]["known_count"]) == (0, 4)
    assert await files.count() == count
    assert await files.sums(files.empty) == await files.sums(files.main)


async def test_text_is_no_formula_in_the_file_and_itself_again_in_the_ledger(
    files: Files,
) -> None:
    content = await files.export()
    for row in csv.DictReader(io.StringIO(content, newline="")):
        assert not row["note"].startswith("=")
        Decimal(row["quantity"])  # numbers stay numbers, those below zero too
    await files.bring_in(content)
    async with files.database.read() as tx:
        notes = {one.entry.note for one in await tx.ledger.after(0, 100)}
    assert '=HYPERLINK("http://evil")' in notes
    assert not any(note.startswith("'") for note in notes if note)


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("kind=reward&kind=deposit", 2),
        ("account=binance-empty", 0),
        ("from=2026-01-03T00:00:00Z", 3),
        ("to=2026-01-03T00:00:00Z", 1),
    ],
)
async def test_an_export_is_filtered(files: Files, query: str, keys: int) -> None:
    document = json.loads(await files.export(f"format=json&{query}"))
    assert len(document["transactions"]) == document["count"] == keys


async def test_an_export_is_a_download_with_a_name(files: Files) -> None:
    answer = await files.api.get(EXPORT)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    said = answer.headers["Content-Disposition"]
    assert said.startswith('attachment; filename="alphapulse-transactions-')
    assert said.endswith('.csv"')
    assert (await files.api.get(f"{EXPORT}?account=nobody")).status == 404
    assert (await files.api.get(f"{EXPORT}?format=xls")).status == 422


async def test_parquet_has_decimals_and_exact_text(files: Files) -> None:
    from pyarrow import parquet

    answer = await files.api.get(f"{EXPORT}?format=parquet")
    rows = parquet.read_table(io.BytesIO(await answer.read())).to_pylist()
    assert len(rows) == 6
    assert all(row["quantity"] == Decimal(row["quantity_text"]) for row in rows)
    assert rows[0]["quantity_text"] == "1000.00000001"
    assert rows[0]["at"] == day(1)


async def test_parquet_without_its_library_says_what_to_install(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    problem = await body(await files.api.get(f"{EXPORT}?format=parquet"), 501)
    assert problem["code"] == "extra_missing"
    assert "alphapulse[parquet]" in problem["fix"]


async def test_a_dry_run_shows_everything_and_writes_nothing(files: Files) -> None:
    content = await files.export(f"account={files.main.id}")
    before = await files.count()
    shown = await files.send(content)
    assert shown["imported"] is None
    difference = shown["difference"]
    assert (difference["new_count"], difference["known_count"]) == (4, 0)
    assert difference["first_at"] == "2026-01-02T00:00:00.000Z"
    assert difference["last_at"] == "2026-01-05T00:00:00.000Z"
    assert [one["line"] for one in difference["new"]] == [2, 3, 6, 7]
    (usdt,) = [one for one in difference["effects"] if one["asset"] == "USDT"]
    assert usdt["change"] == "949.95000001"
    assert usdt["opening_before"] is None
    assert await files.count() == before
    assert (await body(await files.api.get(IMPORTS)))["items"] == []


async def test_rows_from_before_the_opening_explain_it_and_later_ones_are_shown(
    files: Files,
) -> None:
    opened_at, now = START + timedelta(days=2.5), files.api.clock.now()
    book = AssetBook(files.empty.id, "USDT", Decimal(950), opened_at, Decimal(0), Decimal(950), now)
    async with files.database.begin() as tx:
        await tx.reconciliations.replace_books(files.empty.id, [book])
    late = flowed(6, FlowKind.DEPOSIT, "USDT", "7", account=files.main.id)
    async with files.database.begin() as tx:
        await tx.ledger.record([late], now)
    content = await files.export(f"account={files.main.id}")

    shown = await files.send(content)
    (usdt,) = [one for one in shown["difference"]["effects"] if one["asset"] == "USDT"]
    assert (usdt["opening_before"], usdt["after_opening"]) == ("950", "7")
    assert usdt["opening_after"] == "0.04999999"

    await files.bring_in(content)
    proof = await body(await files.api.get(f"/api/portfolio/reconcile?account={files.empty.id}"))
    (line,) = proof["accounts"][0]["assets"]
    assert line["opening"] == usdt["opening_after"]


async def test_each_bad_row_is_named_and_nothing_is_half_imported(files: Files) -> None:
    content = await files.export(f"account={files.main.id}")
    lines = content.splitlines()
    lines[2] = lines[2].replace("0.5", "NaN")
    lines[5] = lines[5].replace("2026-01-04", "2026-02-30")
    lines[6] = lines[6].replace("reward", "lottery")
    before = await files.count()
    for dry_run in (True, False):
        problem = await files.send("\r\n".join(lines), 422, dry_run=dry_run)
        assert problem["code"] == "bad_rows"
        assert {one["pointer"] for one in problem["errors"]} == {"/3/quantity", "/6/at", "/7/kind"}
        assert {one["location"] for one in problem["errors"]} == {"file"}
    assert await files.count() == before


async def test_of_many_bad_rows_the_first_are_named_and_all_are_counted(files: Files) -> None:
    header = (await files.export()).splitlines()[0]
    rows = "\r\n".join(f"a,k{n},deposit,never,,external,USDT,1,," for n in range(200))
    problem = await files.send(f"{header}\r\n{rows}", 422)
    assert len(problem["errors"]) == 50
    assert "200" in problem["detail"]


async def test_a_known_key_with_other_amounts_is_shown_and_not_written(files: Files) -> None:
    content = await files.export(f"account={files.main.id}")
    told = content.replace("1000.00000001", "5")
    shown = await files.bring_in(told, account_id=files.main.id)
    (one,) = shown["difference"]["contradicting"]
    assert one["told"]["key"] == "flow:deposit:1"
    assert one["told"]["postings"][0]["quantity"] == "5"
    assert one["stored"][0]["quantity"] == "1000.00000001"
    assert (await files.export(f"account={files.main.id}")) == content


KOINLY = """\
Date,Sent Amount,Sent Currency,Received Amount,Received Currency,Fee Amount,Fee Currency,\
Net Worth Amount,Net Worth Currency,Label,Description,TxHash
2026-01-02 00:00 UTC,,,1000.00000001,USDT,,,,,,,0xabc
2026-01-03 00:00 UTC,50.05,USDT,0.5,BTC,,,,,,,
2026-01-09 00:00 UTC,,,3,BTC,,,,,airdrop,,
2026-01-09 00:00 UTC,,,3,BTC,,,,,airdrop,,
"""


async def test_what_is_there_under_another_key_is_not_counted_twice(files: Files) -> None:
    shown = await files.send(KOINLY, account_id=files.main.id, format="koinly")
    difference = shown["difference"]
    assert (difference["new_count"], difference["similar_count"]) == (2, 2)
    assert [one["stored_key"] for one in difference["similar"]] == [
        "flow:deposit:1",
        "fill:BTC/USDT:2",
    ]
    both = await files.send(KOINLY, account_id=files.main.id, format="koinly", include_similar=True)
    assert both["difference"]["new_count"] == 4


async def test_equal_rows_of_one_file_are_as_many_and_known_when_they_come_again(
    files: Files,
) -> None:
    first = await files.bring_in(KOINLY, format="koinly")
    again = await files.bring_in(KOINLY, format="koinly")
    assert (first["imported"]["new_count"], again["imported"]["known_count"]) == (4, 4)
    assert (await files.sums(files.empty))["venue", "BTC"] == Decimal("6.5")
    warned = await files.send(KOINLY, format="koinly")
    assert [one["code"] for one in warned["meta"]["warnings"]] == ["imported_before"]


async def test_an_import_is_taken_back_by_entries_and_may_come_again(files: Files) -> None:
    content = await files.export(f"account={files.main.id}")
    done = (await files.bring_in(content))["imported"]
    count = await files.count()
    undone = await body(await files.api.post(f"{IMPORTS}/{done['id']}/undo"))
    assert undone["undone"]["undone_at"] is not None
    assert not any((await files.sums(files.empty)).values())
    assert await files.count() == count + 4  # nothing was removed
    (listed,) = (await body(await files.api.get(IMPORTS)))["items"]
    assert listed["undone_by"] == listed["user_id"]
    await body(await files.api.post(f"{IMPORTS}/{done['id']}/undo"), 409)
    await body(await files.api.post(f"{IMPORTS}/nothing/undo"), 404)

    again = await files.bring_in(content)
    assert again["imported"]["new_count"] == 4
    assert await files.sums(files.empty) == await files.sums(files.main)


async def test_what_the_exchange_tells_after_an_undo_is_not_taken_for_known(
    files: Files,
) -> None:
    content = await files.export(f"account={files.main.id}")
    done = (await files.bring_in(content))["imported"]
    await body(await files.api.post(f"{IMPORTS}/{done['id']}/undo"))
    async with files.database.begin() as tx:
        new = await tx.ledger.record(past(files.empty.id), files.api.clock.now())
    assert len(new) == 4
    assert await files.sums(files.empty) == await files.sums(files.main)


async def test_an_import_and_its_undo_are_done_once_for_one_key(files: Files) -> None:
    content, headers = await files.export(f"account={files.main.id}"), {"Idempotency-Key": "k-1"}
    first = await files.bring_in(content, headers=headers)
    assert await files.bring_in(content, headers=headers) == first
    reused = await files.send("account", 422, dry_run=False, headers=headers)
    assert reused["code"] == "idempotency_key_reused"
    assert len((await body(await files.api.get(IMPORTS)))["items"]) == 1
    path = f"{IMPORTS}/{first['imported']['id']}/undo"
    undo = {"Idempotency-Key": "k-2"}
    undone = await body(await files.api.post(path, headers=undo))
    assert await body(await files.api.post(path, headers=undo)) == undone


async def test_of_a_file_with_several_accounts_one_is_named(files: Files) -> None:
    async with files.database.begin() as tx:
        await tx.ledger.record(past(files.empty.id), files.api.clock.now())
    content = await files.export()
    problem = await files.send(content, 422)
    assert "from_account" in problem["errors"][0]["detail"]
    shown = await files.send(content, from_account=files.main.id)
    assert (shown["difference"]["known_count"], shown["difference"]["skipped_count"]) == (4, 4)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"account_id": "nobody"}, None),
        ({"format": "csv", "mapping": {}}, "/mapping"),
        ({"format": "mapped"}, "/mapping/columns"),
        ({"format": "mapped", "mapping": {"columns": {"at": "a", "fee": "b"}}}, "/mapping/columns"),
        ({"format": "koinly", "mapping": {"timezone": "Mars/Base"}}, "/mapping/timezone"),
        (
            {"format": "koinly", "mapping": {"group_separator": "."}},
            "/mapping/group_separator",
        ),
        ({"file_name": ""}, "/file_name"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_a_request_that_cannot_be_meant_is_refused(
    files: Files, changes: dict[str, Any], pointer: str | None
) -> None:
    status = 404 if pointer is None else 422
    problem = await files.send("account", status, **changes)
    assert [one["pointer"] for one in problem["errors"]] == ([pointer] if pointer else [])


async def test_a_file_may_be_larger_than_other_bodies(files: Files) -> None:
    rest = "x" * (ApiSettings().body_bytes_max + 1)
    assert (await files.send(rest, 422))["code"] == "bad_rows"
    answer = await files.api.post("/api/user/login", {"username": rest, "password": "x"})
    assert (await body(answer, 413))["code"] == "body_too_large"
