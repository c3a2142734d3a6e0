"""What may be set about a position: leverage, margin mode, and the stops that protect it.

Source: https://bybit-exchange.github.io/docs/v5/position/trading-stop and
/v5/account/set-margin-mode, 2026-11.
"""

from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Order, OrderKind, OrderRequest
from alphapulse.simulator.core.position import Position
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.core.trigger import Crossing, Trail, TriggerRequest
from alphapulse.simulator.venues.bybit import codes
from alphapulse.simulator.venues.bybit.call import Caller, Private
from alphapulse.simulator.venues.bybit.codes import BybitError, error_of
from alphapulse.simulator.venues.bybit.conditional import standing_stops, trigger_by
from alphapulse.simulator.venues.bybit.market import MarketRoutes
from alphapulse.simulator.venues.bybit.params import Params
from alphapulse.simulator.venues.bybit.rows import Row

MARGIN_MODES = {"ISOLATED_MARGIN": True, "REGULAR_MARGIN": False}


@dataclass(frozen=True, slots=True)
class _Leg:
    """One of the stops that a request may set: its kind, and its parameters by name."""

    name: str
    price: str
    by: str
    size: str
    limit: str
    kind: str
    is_profit: bool

    def limit_of(self, params: Params) -> Decimal | None:
        """``None`` for a market order."""
        if params.optional(self.kind) != "Limit":
            return None
        return params.decimal(self.limit)


_LEGS = (
    _Leg(
        *("TakeProfit", "takeProfit", "tpTriggerBy", "tpSize", "tpLimitPrice", "tpOrderType"),
        is_profit=True,
    ),
    _Leg(
        *("StopLoss", "stopLoss", "slTriggerBy", "slSize", "slLimitPrice", "slOrderType"),
        is_profit=False,
    ),
)


class PositionRoutes:
    """Writes about positions. They need a key that may trade."""

    def __init__(self, venue: Venue, market: MarketRoutes) -> None:
        self._venue = venue
        self._market = market
        self.routes: dict[str, Private] = {
            "/v5/position/set-leverage": self._set_leverage,
            "/v5/position/trading-stop": self._set_stops,
            "/v5/account/set-margin-mode": self._set_margin_mode,
        }

    def _set_leverage(self, params: Params, caller: Caller) -> Row:
        market = self._market.market(params.category(), params.text("symbol"))
        buy, sell = params.decimal("buyLeverage"), params.decimal("sellLeverage")
        if buy is None or buy != sell:
            raise BybitError(codes.PARAMS, "buy leverage not equal sell leverage")
        try:
            self._venue.terms.set_leverage(caller.account, market.instrument, buy)
        except Refused as refused:
            raise error_of(refused, Category.LINEAR) from refused
        return {}

    def _set_margin_mode(self, params: Params, caller: Caller) -> Row:
        """For the whole account; all of its contracts change, or none."""
        is_isolated = params.choice("setMarginMode", MARGIN_MODES)
        account = caller.account
        if account.positions or any(
            order.instrument.category is Category.LINEAR for order in account.open_orders.values()
        ):
            raise BybitError(
                codes.MARGIN_MODE, "Set margin mode failed: there are open positions or orders."
            )
        for (category, name), market in self._venue.markets.items():
            if category is Category.LINEAR and (name in account.isolated) != is_isolated:
                self._venue.terms.set_isolated(account, market.instrument, is_isolated=is_isolated)
        return {"reasons": []}

    def _set_stops(self, params: Params, caller: Caller) -> Row:
        """Set, change or take away a position's take profit, stop loss and trailing stop."""
        if params.category() is not Category.LINEAR:
            raise BybitError(codes.PARAMS, "params error: Category is invalid")
        market = self._market.market(Category.LINEAR, params.text("symbol"))
        position = caller.account.position(market.instrument.name)
        if position is None:
            raise BybitError(codes.PARAMS, "can not set tp/sl/ts for zero position")
        wanted = _wanted(params, position)
        standing = standing_stops(caller.account, market.instrument)
        try:
            for request in wanted.values():
                if request is not None:
                    self._venue.check(caller.account, market, request)
            changes = [
                self._replace(caller.account, market, standing.get(kind), request)
                for kind, request in wanted.items()
            ]
        except Refused as refused:
            raise error_of(refused, Category.LINEAR) from refused
        if not any(changes):
            raise BybitError(codes.NOT_MODIFIED, "not modified")
        return {}

    def _replace(
        self, account: Account, market: Market, known: Order | None, request: OrderRequest | None
    ) -> bool:
        """Put one stop in the place of another; whether that changed anything."""
        if known is not None and request is not None and _is_same(known, request):
            return False
        if known is not None:
            self._venue.cancel(account, known)
        if request is not None:
            self._venue.place(account, market, request)
        return known is not None or request is not None


def _wanted(params: Params, position: Position) -> dict[str, OrderRequest | None]:
    """The stops that a request names, by ``stopOrderType``; ``None``: none from now on."""
    wanted: dict[str, OrderRequest | None] = {}
    is_partial = params.optional("tpslMode") == "Partial"
    for leg in _LEGS:
        price = params.decimal(leg.price)
        if price is not None and (price or not is_partial):
            name = f"Partial{leg.name}" if is_partial else leg.name
            trigger = TriggerRequest(
                price=price,
                crossing=_towards(position, is_profit=leg.is_profit),
                by=trigger_by(params, leg.by),
                ends_with_position=True,
            )
            size = params.decimal(leg.size) if is_partial else None
            wanted[name] = (
                _closing(position, trigger, size, leg.limit_of(params)) if price else None
            )
    distance = params.decimal("trailingStop")
    if distance is not None:
        trigger = TriggerRequest(
            price=params.decimal("activePrice") or None,
            crossing=_towards(position, is_profit=True),
            trail=Trail(distance=distance),
            ends_with_position=True,
        )
        wanted["TrailingStop"] = _closing(position, trigger, None, None) if distance else None
    return wanted


def _towards(position: Position, *, is_profit: bool) -> Crossing:
    """How the price must come for a profit, or for a loss."""
    return Crossing.RISING if (position.lots > 0) == is_profit else Crossing.FALLING


def _closing(
    position: Position, trigger: TriggerRequest, size: Decimal | None, limit: Decimal | None
) -> OrderRequest:
    """What closes a position when it triggers: all of it, or ``size``."""
    return OrderRequest(
        side=Side.SELL if position.lots > 0 else Side.BUY,
        kind=OrderKind.MARKET if limit is None else OrderKind.LIMIT,
        quantity=size,
        limit_price=limit,
        reduce_only=size is not None,
        close_position=size is None,
        trigger=trigger,
    )


def _is_same(known: Order, request: OrderRequest) -> bool:
    asked, trigger = request.trigger, known.trigger
    if asked is None or trigger is None or trigger.trail != asked.trail or trigger.by != asked.by:
        return False
    return known.stop_price == (asked.price or 0) and known.kind is request.kind
