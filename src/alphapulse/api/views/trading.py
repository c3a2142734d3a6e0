"""Views of placing orders, of the kill switch and of limits."""

from collections.abc import Iterable

from alphapulse.api.problems import problem_of
from alphapulse.api.schemas.base import WarningView
from alphapulse.api.schemas.orders import (
    AssetAmount,
    CheckView,
    NewOrderBody,
    NormalizedView,
    PlacedBody,
    PreviewBody,
)
from alphapulse.api.schemas.trading import (
    LimitsChange,
    LimitsItem,
    LimitsView,
    SwitchView,
    TradingBody,
)
from alphapulse.api.views.meta import plain_meta
from alphapulse.api.views.orders import order_fields, order_view, utc
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, symbol
from alphapulse.domain.order import Order, OrderRequest, OrderType, TimeInForce
from alphapulse.domain.order_checks.check import Check
from alphapulse.domain.trading import TradingLimits
from alphapulse.services.idempotency import Answer
from alphapulse.services.order_placing import NewOrder, PlacedOrder
from alphapulse.services.order_preview import OrderPreview
from alphapulse.services.orders import id_of
from alphapulse.services.trading_control import LimitsInForce, TradingState

ORDERS_PATH = "/api/exchange/orders"

_WITH_TIME_IN_FORCE = (OrderType.LIMIT, OrderType.STOP_LIMIT)


def new_order_of(body: NewOrderBody) -> NewOrder:
    """What ``body`` asks for."""
    kind = OrderType(body.type)
    force = body.time_in_force
    if force is None and kind in _WITH_TIME_IN_FORCE:
        force = TimeInForce.GTC
    request = OrderRequest(
        account_id=AccountId(body.account_id),
        symbol=symbol(body.symbol),
        side=body.side,
        type=kind,
        quantity=body.quantity,
        quote_quantity=body.quote_quantity,
        limit_price=body.limit_price,
        stop_price=body.stop_price,
        trailing_pct=body.trailing_pct,
        time_in_force=force,
        expires_at=utc(body.expires_at),
        post_only=body.post_only,
        reduce_only=body.reduce_only,
        leverage=body.leverage,
        margin_mode=body.margin_mode,
        take_profit=body.take_profit,
        stop_loss=body.stop_loss,
    )
    return NewOrder(request, body.paper, body.allow_duplicate, body.max_slippage_pct)


class Composer:
    """Puts what came of an order into an answer: 201 or 200 when that is certain, 202 while it is
    not, a problem when there is no such order at the exchange."""

    def __init__(self, clock: Clock, path: str, request_id: str, *, status: int) -> None:
        self._clock = clock
        self._path = path
        self._request_id = request_id
        self._status = status

    def __call__(self, placed: PlacedOrder) -> Answer:
        order_id = id_of(placed.order)
        if (refusal := placed.refusal) is not None:
            said = problem_of(refusal, path=self._path, request_id=self._request_id)
            return Answer(said.status, said.encode().decode(), order_id)
        body = PlacedBody.model_validate(
            order_fields(placed.order)
            | {
                "checks": checks_of(placed.checks),
                "poll": None if placed.is_certain else f"{ORDERS_PATH}/{order_id}",
                "replaced_id": None if placed.replaced is None else id_of(placed.replaced),
                "meta": plain_meta(
                    self._clock.now(), self._request_id, *_doubts_about(placed.checks)
                ),
            }
        )
        status = self._status if placed.is_certain else 202
        return Answer(status, body.model_dump_json(by_alias=True), order_id)


def preview_of(preview: OrderPreview, clock: Clock, request_id: str) -> PreviewBody:
    """What an order would be and cost."""
    request = preview.request
    return PreviewBody(
        meta=plain_meta(
            clock.now(),
            request_id,
            *(WarningView(code="not_estimated", message=why) for why in preview.unknown),
            *_doubts_about(preview.checks),
        ),
        ok=all(check.ok for check in preview.checks),
        normalized=NormalizedView(
            quantity=request.quantity,
            quote_quantity=request.quote_quantity,
            price=request.limit_price,
            stop_price=request.stop_price,
        ),
        est_cost=preview.cost,
        est_fee=preview.fee,
        est_average_price=preview.average_price,
        est_slippage_pct=preview.slippage_pct,
        balance_after=[
            AssetAmount(asset=asset, free=free) for asset, free in preview.balance_after.items()
        ],
        weight_after=preview.weight_after,
        checks=checks_of(preview.checks),
    )


def checks_of(checks: Iterable[Check]) -> list[CheckView]:
    """Each check in words."""
    return [
        CheckView(
            name=check.name,
            ok=check.ok,
            limit=check.limit,
            value=check.value,
            detail=None if check.failure is None else check.failure.message,
        )
        for check in checks
    ]


def trading_of(
    state: TradingState,
    clock: Clock,
    request_id: str,
    canceled: Iterable[Order] | None = None,
) -> TradingBody:
    """How trading is."""
    return TradingBody(
        meta=plain_meta(clock.now(), request_id),
        mode=state.mode,
        switches=[
            SwitchView(
                account_id=switch.account_id,
                mode=switch.mode,
                reason=switch.reason,
                changed_by=switch.changed_by,
                changed_at=switch.changed_at,
            )
            for switch in state.switches
        ],
        unknown_orders=[order_view(order) for order in state.uncertain],
        canceled=None if canceled is None else [order_view(order) for order in canceled],
    )


def limits_item(found: LimitsInForce) -> LimitsItem:
    """The limits of one subject."""
    limits = found.limits
    return LimitsItem(
        account_id=found.account_id,
        user_id=found.user_id,
        version=found.version,
        currency=found.currency,
        used_today=found.used_today,
        limits=LimitsView(
            max_order_value=limits.max_order_value,
            max_daily_value=limits.max_daily_value,
            orders_per_minute=limits.orders_per_minute,
            price_band_pct=limits.price_band_pct,
            max_price_age_s=limits.max_price_age_s,
            max_spread_pct=limits.max_spread_pct,
            symbols=None if limits.symbols is None else sorted(limits.symbols),
        ),
    )


def limits_of(body: LimitsChange) -> TradingLimits:
    """What ``body`` sets."""
    return TradingLimits(
        max_order_value=body.max_order_value,
        max_daily_value=body.max_daily_value,
        orders_per_minute=body.orders_per_minute,
        price_band_pct=body.price_band_pct,
        max_price_age_s=body.max_price_age_s,
        max_spread_pct=body.max_spread_pct,
        symbols=None if body.symbols is None else frozenset(symbol(one) for one in body.symbols),
    )


def _doubts_about(checks: Iterable[Check]) -> list[WarningView]:
    """What was let through without being known."""
    return [
        WarningView(
            code="permission_unknown",
            message="The exchange does not say whether this key may trade.",
            subject=(check.name,),
        )
        for check in checks
        if check.name == "key_may_trade" and check.value == "unknown"
    ]
