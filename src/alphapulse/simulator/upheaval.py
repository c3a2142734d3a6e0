"""Upheaval: does to the world what faults of the script say."""

from dataclasses import replace
from functools import partial

from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.events import BooksRestarted, UserStreamEnded
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.refusal import RefusalReason
from alphapulse.simulator.faults import world as faults
from alphapulse.simulator.faults.fault import ORDER, Occasion
from alphapulse.simulator.faults.script import FaultScript
from alphapulse.simulator.world import World


class Upheaval:
    """Changes the world for the occasion that a fault struck, and judges new orders."""

    def __init__(self, world: World, script: FaultScript) -> None:
        self._world = world
        self._script = script

    def begin(self) -> None:
        """Judge orders from now on; those of the past and the preparations were not touched."""
        for name, venue in self._world.venues.items():
            venue.judge = partial(self._judge, name)

    def now_ms(self, venue: str) -> int:
        """The market's time."""
        return self._world.venues[venue].clock.now_ms()

    def apply(self, fault: faults.WorldFault, occasion: Occasion) -> None:
        """Do it, before the request is served."""
        world, venue = self._world, self._world.venues[occasion.venue]
        match fault:
            case faults.RevokedKey():
                world.revoke_key(occasion.account)
            case faults.ChangedPermissions(read=read, trade=trade, withdraw=withdraw):
                world.permit(
                    occasion.account,
                    read=read,
                    trade=trade,
                    withdraw=withdraw,
                    ip_refused=fault.ip_refused,
                )
            case faults.EndedUserStream():
                account_id = venue.accounts[occasion.account].id
                venue.announce(UserStreamEnded(venue.clock.now_ms(), account_id))
            case faults.SkewedClock():
                world.skew_clock(occasion.venue, round(fault.offset_s * 1000))
            case faults.OfSymbol():
                for (_, name), market in venue.markets.items():
                    if name == fault.symbol:
                        _apply_to_market(fault, venue, market)

    def _judge(self, venue: str, account: Account, market: Market) -> RefusalReason | str | None:
        occasion = Occasion(
            venue, "", "", ORDER, account=account.label, symbol=market.instrument.name
        )
        for fault in self._script.on_order(occasion):
            match fault:
                case faults.RefusedOrder():
                    return fault.reason
                case faults.RejectedOrder():
                    return fault.why
        return None


def _apply_to_market(fault: faults.OfSymbol, venue: Venue, market: Market) -> None:
    match fault:
        case faults.HaltedSymbol():
            venue.set_status(market, fault.status)
        case faults.ChangedFilters():
            market.rules = _changed(market.rules, fault)
        case faults.RestartedBooks():
            venue.announce(BooksRestarted(venue.clock.now_ms(), market.instrument))
        case faults.TradeBurst():
            for number in range(fault.trades):
                side = Side.SELL if number % 2 else Side.BUY
                venue.trade_flow(market, side, market.instrument.lot_size)


def _changed(rules: Instrument, fault: faults.ChangedFilters) -> Instrument:
    """Stricter rules for new orders; the grid of the book stays what it was."""
    lot_size = rules.lot_size * fault.lot_times
    return replace(
        rules,
        tick_size=rules.tick_size * fault.tick_times,
        lot_size=lot_size,
        min_quantity=max(lot_size, rules.min_quantity),
        min_notional=rules.min_notional * fault.notional_times,
    )
