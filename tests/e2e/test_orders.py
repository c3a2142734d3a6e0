"""Orders by the API, through the whole product, at the simulated exchange."""

from pathlib import Path

from alphapulse.database.settings import DatabaseSettings
from alphapulse.simulator.simulator import Simulator
from tests.fixtures.trading import trading


async def test_an_order_is_placed_shown_and_canceled(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator) as trader:
        order = await trader.placed()

        assert (order["status"], order["origin"], order["poll"]) == ("open", "alphapulse", None)
        assert all(check["ok"] for check in order["checks"])
        assert order["exchange_order_id"]
        assert order["latency_ms"]["ack"] >= 0
        shown = await trader.load(order["id"])
        assert [event["status"] for event in shown["events"]] == ["prepared", "sending", "open"]
        assert simulator.orders_seen == 1

        status, _, canceled = await trader.ask("DELETE", f"/api/exchange/orders/{order['id']}")
        assert (status, canceled["status"]) == (200, "canceled")
