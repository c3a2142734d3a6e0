"""Orders and balances at the exchanges, over HTTP."""

from alphapulse.domain.sync import FillCursor
from tests.fixtures.api import RunningApi, body


async def test_how_far_back_fills_are_known_is_null_and_listed_as_such(api: RunningApi) -> None:
    account = await api.add_account("main", BTC="1")
    async with api.services.accounts._database.begin() as unit:
        await unit.fill_cursors.save(account.id, FillCursor(None, "7"), complete=True)

    meta = (await body(await api.get("/api/exchange/orders")))["meta"]

    (coverage,) = meta["coverage"]
    assert (coverage["from"], coverage["to"], coverage["complete"]) == (None, None, True)
    (later,) = (w["subject"] for w in meta["warnings"] if w["code"] == "not_available_yet")
    assert {"coverage.from", "coverage.to"} <= set(later)
