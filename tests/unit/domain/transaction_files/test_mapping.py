"""Other programs' files: each told amount in the right book, and nothing guessed."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.ledger import Book, Entry, EntryKind
from alphapulse.domain.transaction_files.mapping import ColumnMapping, FeeRule, Field
from alphapulse.domain.transaction_files.own_format import movements_of
from alphapulse.domain.transaction_files.reading import MAPPINGS, FileFormat, Upload, read_file
from alphapulse.domain.transaction_files.rows import BadRow
from alphapulse.errors import BadRows

LATEST = datetime(2100, 1, 1, tzinfo=UTC)
COINTRACKING = (
    '"Type","Buy Amount","Buy Currency","Sell Amount","Sell Currency","Fee","Fee Currency",'
    '"Exchange","Trade-Group","Comment","Date"\n'
)
SIMPLE = ColumnMapping(columns={Field.AT: "When", Field.AMOUNT: "How much", Field.ASSET: "What"})


def read(content: str, form: FileFormat, mapping: ColumnMapping | None = None) -> list[Entry]:
    mapping = mapping or MAPPINGS.get(form) or ColumnMapping(columns={})
    file = read_file(Upload(AccountId("a"), "file", content, form, mapping), LATEST)
    return [one.entry for one in file.entries]


def told(entry: Entry) -> list[tuple[Book, str, str]]:
    return [(one.book, one.asset, str(one.quantity)) for one in movements_of(entry)]


def flaw_of(error: BadRows) -> BadRow:
    """The only one."""
    rows = error.facts["rows"]
    assert isinstance(rows, tuple)
    assert len(rows) == 1
    assert isinstance(rows[0], BadRow)
    return rows[0]


def refused(content: str, mapping: ColumnMapping) -> str | None:
    with pytest.raises(BadRows) as error:
        read(content, FileFormat.MAPPED, mapping)
    return flaw_of(error.value).column


# The four examples of CoinTracking's own article on fees, 29000007202.
@pytest.mark.parametrize(
    ("row", "movements"),
    [
        (
            '"Trade","1","BTC","505","USD","5","USD"',
            [(Book.TRADES, "BTC", "1"), (Book.TRADES, "USD", "-500"), (Book.FEES, "USD", "-5")],
        ),
        (
            '"Trade","0.99","BTC","500","USD","0.01","BTC"',
            [(Book.TRADES, "BTC", "1.00"), (Book.TRADES, "USD", "-500"),
             (Book.FEES, "BTC", "-0.01")],
        ),
        (
            '"Spend","","","0.201","BTC","0.001","BTC"',
            [(Book.EXTERNAL, "BTC", "-0.200"), (Book.FEES, "BTC", "-0.001")],
        ),
        (
            '"Trade","1","BTC","500","USD","0.1","BNB"',
            [(Book.TRADES, "BTC", "1"), (Book.TRADES, "USD", "-500")],
        ),
    ],
)  # fmt: skip
def test_cointracking_has_its_fees_in_the_amounts(
    row: str, movements: list[tuple[Book, str, str]]
) -> None:
    content = f'{COINTRACKING}{row},"Kraken","","","31.01.2026 12:00:00"\n'
    (entry,) = read(content, FileFormat.COINTRACKING)
    assert told(entry) == movements
    assert entry.occurred_at == datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_koinly_has_its_fees_beside_the_amounts() -> None:
    header = "Date,Sent Amount,Sent Currency,Received Amount,Received Currency,Fee Amount,"
    header += "Fee Currency,Net Worth Amount,Net Worth Currency,Label,Description,TxHash\n"
    rows = "2018-01-01 14:25 UTC,100,USD,0.01,BTC,1,USD,,,,first,\n"
    rows += "2018-01-02 14:25:30 UTC,0.005,BTC,,,0.0001,BTC,,,gift,,0xa\n"
    trade, gift = read(header + rows, FileFormat.KOINLY)
    assert (trade.kind, trade.note) == (EntryKind.FILL, "first")
    assert told(trade) == [
        (Book.TRADES, "BTC", "0.01"),
        (Book.TRADES, "USD", "-100"),
        (Book.FEES, "USD", "-1"),
    ]
    assert (gift.kind, gift.reference) == (EntryKind.WITHDRAWAL, "0xa")
    assert told(gift) == [(Book.EXTERNAL, "BTC", "-0.005"), (Book.FEES, "BTC", "-0.0001")]


# The activities of test/import/ok/btcusd.json and sample.json in ghostfolio/ghostfolio.
GHOSTFOLIO = """{"activities": [
 {"fee": 4.46, "quantity": 1, "type": "BUY", "unitPrice": 44558.42, "currency": "USD",
  "dataSource": "YAHOO", "date": "2021-12-12T00:00:00.000Z", "symbol": "BTCUSD", "comment": null},
 {"fee": 49, "quantity": 0, "type": "FEE", "unitPrice": 0, "currency": "USD",
  "dataSource": "MANUAL", "date": "2021-09-01T00:00:00.000Z", "symbol": "14a69cb9"},
 {"fee": 0, "quantity": 2, "type": "SELL", "unitPrice": 0.1, "currency": "USD",
  "dataSource": "COINGECKO", "date": "2022-01-01T00:00:00.000Z", "symbol": "dogecoin"}]}"""


def test_ghostfolio_tells_quantity_and_price() -> None:
    mapping = ColumnMapping(columns={}, assets={"dogecoin": "DOGE"})
    bought, fee, sold = read(GHOSTFOLIO, FileFormat.GHOSTFOLIO, mapping)
    assert told(bought) == [
        (Book.TRADES, "BTC", "1"),
        (Book.TRADES, "USD", "-44558.42"),
        (Book.FEES, "USD", "-4.46"),
    ]
    assert told(fee) == [(Book.FEES, "USD", "-49")]
    assert told(sold) == [(Book.TRADES, "USD", "0.2"), (Book.TRADES, "DOGE", "-2")]


def test_a_symbol_of_ghostfolio_that_is_no_asset_is_not_guessed() -> None:
    with pytest.raises(BadRows) as error:
        read(GHOSTFOLIO, FileFormat.GHOSTFOLIO)
    row = flaw_of(error.value)
    assert (row.line, row.column) == (3, "symbol")


def test_a_signed_amount_was_received_or_sent() -> None:
    content = "When,How much,What\n2026-01-01,1.5,btc\n2026-01-02,-0.5,btc\n"
    got, gave = read(content, FileFormat.MAPPED, SIMPLE)
    assert (got.kind, told(got)) == (EntryKind.DEPOSIT, [(Book.EXTERNAL, "BTC", "1.5")])
    assert (gave.kind, told(gave)) == (EntryKind.WITHDRAWAL, [(Book.EXTERNAL, "BTC", "-0.5")])


def test_words_separators_zones_and_names_are_those_of_the_mapping() -> None:
    mapping = replace(
        SIMPLE,
        columns={**SIMPLE.columns, Field.KIND: "Art"},
        kinds={"Zinsen": EntryKind.INTEREST},
        assets={"Bitcoin": "BTC"},
        date_format="%d.%m.%Y %H:%M",
        timezone=ZoneInfo("Europe/Berlin"),
        decimal_separator=",",
        group_separator=".",
        delimiter=";",
    )
    content = "When;How much;What;Art\n01.07.2026 12:00;1.234,5;bitcoin;ZINSEN\n"
    (entry,) = read(content, FileFormat.MAPPED, mapping)
    assert entry.kind is EntryKind.INTEREST
    assert entry.occurred_at == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert told(entry) == [(Book.INCOME, "BTC", "1234.5")]


@pytest.mark.parametrize(
    ("mapping", "row", "column"),
    [
        (SIMPLE, "never,1,BTC", "When"),
        (SIMPLE, "9999-12-31T23:59:59-14:00,1,BTC", "When"),
        (SIMPLE, "2026-01-01,1,", "What"),
        (SIMPLE, "2026-01-01,1,B C", "What"),
        (SIMPLE, '2026-01-01,"1,5",BTC', "How much"),
        (SIMPLE, "2026-01-01,0,BTC", None),
        (replace(SIMPLE, decimal_separator=","), "2026-01-01,1.5,BTC", "How much"),
        (replace(SIMPLE, group_separator=","), '2026-01-01,"1,5",BTC', "How much"),
        (
            replace(SIMPLE, columns={**SIMPLE.columns, Field.KIND: "What"}),
            "2026-01-01,1,BTC",
            "What",
        ),
    ],
)
def test_what_is_not_certain_is_refused(
    mapping: ColumnMapping, row: str, column: str | None
) -> None:
    assert refused(f"When,How much,What\n{row}\n", mapping) == column


def test_a_trade_has_two_sides() -> None:
    content = f'{COINTRACKING}"Trade","1","BTC","","","","","","","","31.01.2026 12:00:00"\n'
    with pytest.raises(BadRows):
        read(content, FileFormat.COINTRACKING)


def test_a_fee_that_is_more_than_what_was_sent_is_refused() -> None:
    columns = {Field.AT: "t", Field.SENT: "s", Field.SENT_ASSET: "a", Field.FEE: "f",
               Field.FEE_ASSET: "a"}  # fmt: skip
    mapping = ColumnMapping(columns=columns, fee=FeeRule.INCLUDED)
    assert refused("t,s,a,f\n2026-01-01,1,BTC,2\n", mapping) is None


def test_a_row_has_the_same_key_whatever_the_order_of_the_columns() -> None:
    one = read("When,How much,What\n2026-01-01,1,BTC\n", FileFormat.MAPPED, SIMPLE)
    other = read("What,When,How much\nbtc,2026-01-01T00:00Z,1.0\n", FileFormat.MAPPED, SIMPLE)
    assert one[0].key == other[0].key
    assert Decimal(1) == movements_of(one[0])[0].quantity
