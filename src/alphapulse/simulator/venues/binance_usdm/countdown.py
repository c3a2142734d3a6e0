"""Countdown: a dead man's switch that cancels a market's orders unless it is set again."""

from alphapulse.simulator.core.events import CoreEvent, Pulse
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.venues.binance.codes import missing
from alphapulse.simulator.venues.binance.market_rows import Row
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.routes import Caller, Private
from alphapulse.simulator.venues.binance_usdm.market import MarketRoutes
from alphapulse.simulator.venues.binance_usdm.orders import OrderRoutes


class Countdown:
    """Looked at ten times a second, as the venue does."""

    def __init__(self, venue: Venue, markets: MarketRoutes, orders: OrderRoutes) -> None:
        self._venue = venue
        self._market = markets.market
        self._orders = orders
        self._ends_ms: dict[tuple[str, str], int] = {}
        venue.subscribe(self._hear)

    @property
    def writes(self) -> dict[tuple[str, str], Private]:
        """By method and path."""
        return {("POST", "/fapi/v1/countdownCancelAll"): self._set}

    def _set(self, params: Params, caller: Caller) -> Row:
        name = self._market(params.symbol()).instrument.name
        countdown_ms = params.integer("countdownTime")
        if countdown_ms is None:
            raise missing("countdownTime")
        key = (caller.account.id, name)
        if countdown_ms:
            self._ends_ms[key] = self._venue.clock.now_ms() + countdown_ms
        else:
            self._ends_ms.pop(key, None)
        return {"symbol": name, "countdownTime": str(countdown_ms)}

    def _hear(self, event: CoreEvent) -> None:
        if not isinstance(event, Pulse):
            return
        for key, ends_ms in tuple(self._ends_ms.items()):
            if event.at_ms >= ends_ms:
                del self._ends_ms[key]
                account_id, name = key
                account = self._venue.accounts[account_id]
                self._orders.cancel_everything(account, self._market(name))
