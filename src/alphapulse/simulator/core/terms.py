"""Terms: with how much leverage, which margin and which position mode an account trades."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from alphapulse.simulator.core import margin
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.events import Cause, LeverageChanged
from alphapulse.simulator.core.feed import Feed
from alphapulse.simulator.core.instrument import Category, Instrument, atoms_of
from alphapulse.simulator.core.position import Position
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.core.teller import Teller


class Terms:
    """What a customer may set about his perpetuals. A refusal changes nothing."""

    def __init__(
        self,
        teller: Teller,
        feed: Feed,
        mark_price: margin.MarkPrice,
        now_ms: Callable[[], int],
    ) -> None:
        self._teller = teller
        self._feed = feed
        self._mark_price = mark_price
        self._now_ms = now_ms

    def set_leverage(self, account: Account, instrument: Instrument, leverage: Decimal) -> None:
        """For the position and the orders of one perpetual.

        Raises:
            Refused: LEVERAGE_INVALID, LEVERAGE_UNCHANGED.
        """
        if not 1 <= leverage <= instrument.max_leverage:
            raise Refused(RefusalReason.LEVERAGE_INVALID)
        if account.leverage_of(instrument.name) == leverage:
            raise Refused(RefusalReason.LEVERAGE_UNCHANGED)
        self._check_leverage(account, instrument, leverage)
        account.leverage[instrument.name] = leverage
        self._teller.position(account, instrument)
        now_ms = self._now_ms()
        self._feed.emit(LeverageChanged(now_ms, account.id, instrument, leverage))

    def _check_leverage(self, account: Account, instrument: Instrument, leverage: Decimal) -> None:
        """Whether the open positions could be held with it."""
        held = [p for p in account.positions.values() if p.instrument is instrument]
        most = instrument.largest_notional(leverage)
        if any(p.notional_at(self._mark_price(instrument)) > most for p in held):
            raise Refused(RefusalReason.LEVERAGE_TOO_HIGH)
        before = account.leverage_of(instrument.name)
        if leverage < before and any(p.isolated_atoms is not None for p in held):
            raise Refused(RefusalReason.HAS_POSITION)
        more = sum(p.initial_margin(leverage) - p.initial_margin(before) for p in held)
        if more > max(
            Decimal(0), margin.report(account, instrument.quote, self._mark_price).available
        ):
            raise Refused(RefusalReason.INSUFFICIENT_MARGIN, instrument.quote)

    def set_isolated(self, account: Account, instrument: Instrument, *, is_isolated: bool) -> None:
        """Isolated or cross margin for one perpetual.

        Raises:
            Refused: MARGIN_MODE_UNCHANGED, HAS_OPEN_ORDERS, HAS_POSITION.
        """
        name = instrument.name
        if (name in account.isolated) == is_isolated:
            raise Refused(RefusalReason.MARGIN_MODE_UNCHANGED)
        if any(o.instrument is instrument for o in account.open_orders.values()):
            raise Refused(RefusalReason.HAS_OPEN_ORDERS)
        if any(p.instrument is instrument for p in account.positions.values()):
            raise Refused(RefusalReason.HAS_POSITION)
        if is_isolated:
            account.isolated.add(name)
        else:
            account.isolated.discard(name)

    def set_hedged(self, account: Account, *, is_hedged: bool) -> None:
        """Long and short side by side, or one position in each perpetual.

        Raises:
            Refused: POSITION_MODE_UNCHANGED, HAS_OPEN_ORDERS, HAS_POSITION.
        """
        if account.is_hedged == is_hedged:
            raise Refused(RefusalReason.POSITION_MODE_UNCHANGED)
        of_perpetuals = (o.instrument.category for o in account.open_orders.values())
        if Category.LINEAR in of_perpetuals:
            raise Refused(RefusalReason.HAS_OPEN_ORDERS)
        if account.positions:
            raise Refused(RefusalReason.HAS_POSITION)
        account.is_hedged = is_hedged

    def add_margin(self, account: Account, position: Position, amount: Decimal) -> None:
        """Put more of the wallet behind an isolated position; a negative amount gives it back.

        Raises:
            Refused: MARGIN_NOT_ISOLATED, INSUFFICIENT_MARGIN.
        """
        if position.isolated_atoms is None:
            raise Refused(RefusalReason.MARGIN_NOT_ISOLATED)
        instrument, atoms = position.instrument, atoms_of(amount)
        spare = margin.report(account, instrument.quote, self._mark_price).available
        least = position.initial_margin(account.leverage_of(instrument.name))
        is_left = position.isolated_margin + amount >= least
        if amount > spare or (amount < 0 and not is_left):
            raise Refused(RefusalReason.INSUFFICIENT_MARGIN, instrument.quote)
        account.positions[position.key] = replace(
            position, isolated_atoms=position.isolated_atoms + atoms
        )
        self._teller.position(account, instrument, position.side)
        self._teller.balances(
            account, instrument.quote, category=Category.LINEAR, cause=Cause.MARGIN
        )
