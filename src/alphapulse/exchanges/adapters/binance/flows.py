"""Binance cash flows: deposits, withdrawals, transfers, dust, dividends and the futures' income.

Each list is read window by window of the venue's longest range. An answer that was cut off is
asked for again with half the range, or, where the oldest come first, ended before its last moment;
so a page is complete or an error. A reading that arrived at the present begins anew a little
earlier, because rows turn up late, and earlier still while one of them may change.

Not read: Convert, Simple Earn, fiat, Pay and sub-accounts. What they move is unexplained.

Sources, read 2026-11: https://developers.binance.com/docs/wallet (capital, asset) and
https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from loguru import logger

from alphapulse.domain.cash_flow import FlowCursor
from alphapulse.domain.identifiers import AccountId
from alphapulse.errors import InvalidInput
from alphapulse.exchanges.adapters.binance.flow_rows import (
    EXCHANGE,
    INCOME_KEPT,
    FlowReader,
    Raw,
    Told,
)
from alphapulse.exchanges.budget import RateBudget
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.session import ExchangeSession, moment_of_ms, ms_of
from alphapulse.exchanges.port import FlowPage
from alphapulse.exchanges.venues import Limit

INCOME = "income"

CROSSINGS_PER_ANSWER = 1000
TRANSFERS_PER_ANSWER = 100
DUST_PER_ANSWER = 100
DIVIDENDS_PER_ANSWER = 500
INCOME_PER_ANSWER = 1000

# Each costs 18,000 of the 180,000 that an account may use in a minute. Half of it in half the time,
# so that who asks without waiting first is not held up for long.
WITHDRAWALS = Limit(units=5, window_s=30)

# Every kind of transfer that spot has a side in. Isolated margin wants a symbol, too.
TRANSFER_TYPES = tuple(
    kind
    for other in ("UMFUTURE", "CMFUTURE", "MARGIN", "FUNDING", "OPTION", "PORTFOLIO_MARGIN")
    for kind in (f"MAIN_{other}", f"{other}_MAIN")
)

# How late a row may turn up in a list. Wallets are many services; the futures are one.
_LATE, _LATE_INCOME = timedelta(days=1), timedelta(hours=1)

_MS = timedelta(milliseconds=1)
_QUARTER = timedelta(days=90) - _MS
_HALF_YEAR = timedelta(days=180) - _MS

Ask = Callable[[Any, int, int], Awaitable[tuple[list[Raw], bool]]]
"""Rows of a range of ms, both ends included, and whether there may be more in it."""


@dataclass(frozen=True, slots=True)
class _List:
    """One list of the venue's."""

    ask: Ask
    read: Callable[[FlowReader, Raw], Told]
    window: timedelta
    overlap: timedelta = _LATE
    kept: timedelta | None = None
    """How long the venue remembers; ``None``: for ever."""
    market_type: MarketType = MarketType.SPOT
    is_oldest_first: bool = False
    is_scarce: bool = False
    """Only so many at a time; see `WITHDRAWALS`."""


@dataclass(frozen=True, slots=True)
class _Position:
    """``next_ms`` is what comes next, ``open_ms`` the oldest row so far that may change."""

    next_ms: int
    open_ms: int | None = None

    @classmethod
    def of(cls, text: str) -> "_Position":
        numbers = text.split(" ")
        if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
            raise InvalidInput("not a Binance flow cursor", field="cursor")
        return cls(*map(int, numbers))

    @property
    def still_open(self) -> tuple[int, ...]:
        return () if self.open_ms is None else (self.open_ms,)

    def __str__(self) -> str:
        return f"{self.next_ms}" if self.open_ms is None else f"{self.next_ms} {self.open_ms}"


class BinanceFlows:
    """The lists of one account."""

    def __init__(self, session: ExchangeSession) -> None:
        self._session = session
        self._withdrawals = RateBudget(
            EXCHANGE, WITHDRAWALS, session.clock, max_wait_s=WITHDRAWALS.window_s
        )

    def first_cursors(self, since: datetime) -> tuple[FlowCursor, ...]:
        position = str(_Position(ms_of(since)))
        return tuple(FlowCursor(source, position) for source in LISTS)

    async def page(self, account_id: AccountId, cursor: FlowCursor) -> FlowPage:
        """What comes next in a list, up to a whole window of it."""
        source, position = _known(cursor.source), _Position.of(cursor.position)
        now = self._session.venue_now()
        start_ms = _start_ms(cursor.source, position, now)
        now_ms = max(start_ms, ms_of(now))
        end_ms = min(now_ms, start_ms + source.window // _MS)
        client = await self._session.loaded(source.market_type)
        rows, until_ms = await self._rows(source, start_ms, end_ms)
        reader = FlowReader(client, account_id, now)
        told = [source.read(reader, row) for row in rows]
        may_change = [ms_of(one.listed_at) for one in told if one.may_change]
        open_ms = min([*may_change, *position.still_open], default=None)
        is_last = until_ms >= now_ms
        if is_last:
            recent_ms = max(start_ms, ms_of(now - source.overlap))
            after = _Position(recent_ms if open_ms is None else min(open_ms, recent_ms))
        else:
            after = _Position(until_ms + 1, open_ms)
        return FlowPage(
            flows=parse.unique_flows(flow for one in told for flow in one.flows),
            next_cursor=FlowCursor(cursor.source, str(after)),
            is_last=is_last,
            read_until=moment_of_ms(until_ms),
            wait_s=self._withdrawals.wait_s(1, urgent=False) if source.is_scarce else 0.0,
        )

    async def _rows(self, source: _List, start_ms: int, end_ms: int) -> tuple[list[Raw], int]:
        """Every row from the start on, and up to when."""
        while True:
            rows, is_cut = await self._ask(source, start_ms, end_ms)
            if not is_cut:
                return rows, end_ms
            if source.is_oldest_first:
                newest_ms = max(int(parse.text(row, "time")) for row in rows)
                if newest_ms <= start_ms:
                    break
                return rows, newest_ms - 1
            if end_ms <= start_ms:
                break
            end_ms = start_ms + (end_ms - start_ms) // 2
        raise parse.broken("more in one moment than an answer holds")

    async def _ask(self, source: _List, start_ms: int, end_ms: int) -> tuple[list[Raw], bool]:
        if source.is_scarce:
            await self._withdrawals.spend(1, urgent=False)
        return await self._session.call(
            source.market_type,
            lambda client: source.ask(client, start_ms, end_ms),
            list_is_good=True,
        )


async def _deposits(client: Any, start_ms: int, end_ms: int) -> tuple[list[Raw], bool]:
    rows = await client.sapi_get_capital_deposit_hisrec(
        _range(start_ms, end_ms, limit=CROSSINGS_PER_ANSWER)
    )
    return rows, len(rows) >= CROSSINGS_PER_ANSWER


async def _withdrawals(client: Any, start_ms: int, end_ms: int) -> tuple[list[Raw], bool]:
    rows = await client.sapi_get_capital_withdraw_history(
        _range(start_ms, end_ms, limit=CROSSINGS_PER_ANSWER)
    )
    return rows, len(rows) >= CROSSINGS_PER_ANSWER


async def _transfers(client: Any, start_ms: int, end_ms: int) -> tuple[list[Raw], bool]:
    """Of every kind; where there is none, the venue may leave the rows out."""
    found: list[Raw] = []
    for kind in TRANSFER_TYPES:
        asked = _range(start_ms, end_ms, type=kind, current=1, size=TRANSFERS_PER_ANSWER)
        answer = await client.sapi_get_asset_transfer(asked)
        rows = answer.get("rows") or []
        if parse.decimal(answer, "total") > len(rows):
            return found, True
        found += rows
    return found, False


async def _dust(client: Any, start_ms: int, end_ms: int) -> tuple[list[Raw], bool]:
    answer = await client.sapi_get_asset_dribblet(_range(start_ms, end_ms))
    rows = answer["userAssetDribblets"]
    return rows, len(rows) >= DUST_PER_ANSWER


async def _dividends(client: Any, start_ms: int, end_ms: int) -> tuple[list[Raw], bool]:
    asked = _range(start_ms, end_ms, limit=DIVIDENDS_PER_ANSWER)
    answer = await client.sapi_get_asset_assetdividend(asked)
    rows = answer["rows"]
    is_cut = len(rows) >= DIVIDENDS_PER_ANSWER or parse.decimal(answer, "total") > len(rows)
    return rows, is_cut


async def _income(client: Any, start_ms: int, end_ms: int) -> tuple[list[Raw], bool]:
    asked = _range(start_ms, end_ms, limit=INCOME_PER_ANSWER)
    rows = await client.fapiprivate_get_income(asked)
    return rows, len(rows) >= INCOME_PER_ANSWER


LISTS = {
    "deposits": _List(_deposits, FlowReader.deposit, _QUARTER),
    "transfers": _List(_transfers, FlowReader.transfer, _HALF_YEAR, kept=_HALF_YEAR),
    "dust": _List(_dust, FlowReader.dust, _QUARTER),
    "dividends": _List(_dividends, FlowReader.dividend, _HALF_YEAR),
    INCOME: _List(
        _income,
        FlowReader.income,
        timedelta(days=30),
        overlap=_LATE_INCOME,
        kept=INCOME_KEPT,
        market_type=MarketType.SWAP,
        is_oldest_first=True,
    ),
    # The slowest comes last.
    "withdrawals": _List(_withdrawals, FlowReader.withdrawal, _QUARTER, is_scarce=True),
}


def _known(source: str) -> _List:
    if source not in LISTS:
        raise InvalidInput("Binance has no such list of cash flows", field="source", source=source)
    return LISTS[source]


def _start_ms(name: str, position: _Position, now: datetime) -> int:
    """Where the next page begins; what the venue has forgotten is said to be missing."""
    kept = LISTS[name].kept
    if kept is None or position.next_ms >= ms_of(now - kept):
        return position.next_ms
    logger.bind(exchange=EXCHANGE, source=name, before=str(now - kept)).warning(
        "the venue tells nothing so old about cash flows"
    )
    return ms_of(now - kept)


def _range(start_ms: int, end_ms: int, **more: object) -> Raw:
    return {"startTime": start_ms, "endTime": end_ms, **more}
