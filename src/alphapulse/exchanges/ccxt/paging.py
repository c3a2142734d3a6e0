"""Paging: every row of a listing since a moment, or an error; never most of them.

A page that is shorter than asked for ends a window of time. A full one is followed by one that
begins at the time of its last row and must show that row again: that no row is lost between them
is then seen and not assumed.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.session import ms_of

# A listing with more pages than this is no listing of one symbol since an order was sent.
PAGES_MAX = 100

Row = dict[str, Any]
Ask = Callable[[dict[str, Any]], Awaitable[Any]]


async def rows_since(
    ask: Ask,
    request: dict[str, Any],
    since: datetime,
    until: datetime,
    *,
    window: timedelta,
    rows_per_page: int,
    id_key: str,
    time_key: str,
) -> list[Row]:
    """Every row from ``since`` to ``until``, each once, of a venue that lists oldest first.

    Args:
        ask: takes the request with ``startTime``, ``endTime`` and ``limit``; answers a list.
        window: the longest range of time the venue takes.
        id_key: the field that names a row.
        time_key: the field by which the venue picks rows, ms.

    Raises:
        ExchangeUnavailable: pages do not fit together, or do not end.
    """
    found: dict[str, Row] = {}
    start_ms, until_ms = ms_of(since), ms_of(until)
    last_id: str | None = None
    for _ in range(PAGES_MAX):
        end_ms = start_ms + round(window.total_seconds() * 1000) - 1
        times = {"startTime": start_ms, "endTime": end_ms, "limit": rows_per_page}
        page = await ask({**request, **times})
        ids = [parse.text(row, id_key) for row in page]
        if last_id is not None and last_id not in ids:
            raise parse.broken("pages with a gap between them")
        found |= zip(ids, page, strict=True)
        if len(page) < rows_per_page:
            if end_ms >= until_ms:
                return list(found.values())
            start_ms, last_id = end_ms + 1, None
            continue
        newest_ms = max(int(row[time_key]) for row in page)
        if newest_ms <= start_ms:
            raise parse.broken("a page of one moment that never ends")
        start_ms = newest_ms
        last_id = max(zip(page, ids, strict=True), key=lambda one: int(one[0][time_key]))[1]
    raise parse.broken("a listing without end")
