"""REST API Endpoints: orders and fills."""

import secrets
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from alphapulse.api.auth import ExchangeViewer, Trader
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.keyed import REPLAYED, IdempotencyKey, key_of, response_of
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.orders import (
    AmendBody,
    CancelAllBody,
    CanceledBody,
    NewOrderBody,
    OrderBody,
    OrderPage,
    OrdersQuery,
    PlacedBody,
    PreviewBody,
    TradePage,
    TradesQuery,
)
from alphapulse.api.views import orders as views
from alphapulse.api.views.meta import plain_meta
from alphapulse.api.views.trading import ORDERS_PATH, Composer, new_order_of, preview_of
from alphapulse.domain.account import Account
from alphapulse.domain.identifiers import AccountId, symbol
from alphapulse.domain.order import Order
from alphapulse.domain.sync import SyncKind
from alphapulse.errors import (
    AlphaPulseError,
    Conflict,
    DuplicateSuspected,
    IdempotencyKeyReused,
    InProgress,
    InstrumentUnavailable,
    InsufficientFunds,
    InvalidInput,
    KeyReadOnly,
    MissingIdempotencyKey,
    NotFound,
    OrderBudgetSpent,
    OrderNotSent,
    OrderRefused,
    OrderRejected,
    TradingHalted,
    WorkerStopped,
)
from alphapulse.services.business_logic import Services
from alphapulse.services.idempotency import Answer

router = APIRouter(prefix="/api/exchange", tags=["exchange"])

OrderPath = Annotated[str, Path(max_length=250, description="The id from the list of orders.")]

_POLL = {"Location": {"description": "Where to ask again.", "schema": {"type": "string"}}}

_REFUSED: tuple[type[AlphaPulseError], ...] = (OrderRefused, *OrderRefused.__subclasses__())
_REFUSALS: tuple[type[AlphaPulseError], ...] = (
    *(MissingIdempotencyKey, KeyReadOnly, NotFound, Conflict, InProgress, DuplicateSuspected),
    *(IdempotencyKeyReused, InstrumentUnavailable, InsufficientFunds, TradingHalted),
    *(OrderBudgetSpent, OrderRejected, OrderNotSent, WorkerStopped),
    *_REFUSED,
)


@router.post(
    "/order",
    operation_id="place_exchange_order",
    status_code=201,
    response_model=PlacedBody,
    responses=problem_responses(*_REFUSALS)
    | {
        200: {"model": PreviewBody, "description": "A preview: nothing was stored or sent."},
        201: {"headers": REPLAYED},
        202: {
            "model": PlacedBody,
            "description": "It is not known yet whether the exchange has it.",
            "headers": REPLAYED | _POLL,
        },
    },
)
async def post_order(
    body: NewOrderBody,
    caller: Trader,
    services: AllServices,
    request: Request,
    request_id: RequestId,
    key: IdempotencyKey = None,
) -> Response:
    """Place one order, once.

    Every check comes first, and a failed one is a problem that names its limit: nothing was sent.
    What passed is stored before it is sent, so a lost answer loses no order: send the same request
    with the same key again, or look it up. 202 means that the exchange did not say what became of
    it; it is looked up until that is certain, and never sent again. `validate_only` answers 200
    with the price, quantity, cost and checks, and needs no key.
    """
    wanted = new_order_of(body)
    if body.validate_only:
        preview = await services.trading.preview(caller, wanted)
        shown = preview_of(preview, services.clock, request_id)
        return Response(shown.model_dump_json(by_alias=True), media_type="application/json")
    if key is None:
        raise MissingIdempotencyKey("an order needs an Idempotency-Key header")
    answer = await services.trading.place(
        caller,
        wanted,
        key_of(caller.user_id, key, request, body),
        Composer(services.clock, request.url.path, request_id, status=201),
    )
    return _response(answer)


@router.get("/orders", operation_id="list_exchange_orders", responses=problem_responses(NotFound))
async def get_orders(
    query: Annotated[OrdersQuery, Query()],
    viewer: ExchangeViewer,
    services: AllServices,
    request_id: RequestId,
) -> OrderPage:
    """Orders of every account, newest first; those that others placed with the same key as well.

    `status=unknown` are those in doubt: on their way, unknown, or contradicting themselves.
    """
    accounts = services.portfolio.accounts(viewer, [AccountId(one) for one in query.account])
    page = await services.orders.page(
        accounts,
        views.filter_of(query),
        with_events="events" in query.include,
        cursor=query.cursor,
        limit=query.limit,
    )
    return views.page_of(
        page,
        _read_at(services, accounts),
        services.clock.now(),
        request_id,
        with_fills="fills" in query.include,
    )


@router.post(
    "/orders/cancel-all",
    operation_id="cancel_all_exchange_orders",
    responses=problem_responses(NotFound, Conflict, OrderRejected, WorkerStopped),
)
async def post_cancel_all(
    body: CancelAllBody, caller: Trader, services: AllServices, request_id: RequestId
) -> CanceledBody:
    """Cancel every open order, those that others placed too. Doing it twice does no harm."""
    canceled = await services.trading.cancel_all(
        caller,
        None if body.account_id is None else AccountId(body.account_id),
        None if body.symbol is None else symbol(body.symbol),
    )
    return CanceledBody(
        meta=plain_meta(services.clock.now(), request_id),
        items=[views.order_view(order) for order in canceled],
    )


@router.get(
    "/orders/{order_id}", operation_id="get_exchange_order", responses=problem_responses(NotFound)
)
async def get_order(
    order_id: OrderPath, viewer: ExchangeViewer, services: AllServices, request_id: RequestId
) -> OrderBody:
    """One order with its executions and every step of its life."""
    order = await services.trading.find(viewer, order_id)
    return await _shown(order, services, request_id)


@router.patch(
    "/orders/{order_id}",
    operation_id="amend_exchange_order",
    response_model=PlacedBody,
    responses=problem_responses(*_REFUSALS)
    | {
        200: {"headers": REPLAYED},
        202: {
            "model": PlacedBody,
            "description": "It is not known yet what became of the new order.",
            "headers": REPLAYED | _POLL,
        },
    },
)
async def patch_order(
    order_id: OrderPath,
    body: AmendBody,
    caller: Trader,
    services: AllServices,
    request: Request,
    request_id: RequestId,
    key: IdempotencyKey = None,
) -> Response:
    """Change quantity or price of an open order that was placed here.

    Where the exchange cannot do that in place, the order is canceled, and when that is certain,
    what was not filled of it is placed anew: the answer is then the new order, with `replaced_id`.
    """
    if body.quantity is None and body.limit_price is None:
        raise InvalidInput(
            "nothing to change: give quantity, limit_price or both", field="quantity"
        )
    answer = await services.trading.amend(
        caller,
        order_id,
        quantity=body.quantity,
        limit_price=body.limit_price,
        key=key_of(caller.user_id, key or secrets.token_hex(16), request, body),
        compose=Composer(services.clock, request.url.path, request_id, status=200),
    )
    return _response(answer)


@router.delete(
    "/orders/{order_id}",
    operation_id="cancel_exchange_order",
    responses=problem_responses(NotFound, Conflict, OrderRejected, WorkerStopped),
)
async def delete_order(
    order_id: OrderPath, caller: Trader, services: AllServices, request_id: RequestId
) -> OrderBody:
    """Cancel one order, and show it as it then is: one that has ended stays as it ended.

    It may have been filled meanwhile; `cancel_pending` means that the exchange has not said yet.
    """
    order = await services.trading.cancel(caller, order_id)
    return await _shown(order, services, request_id)


@router.get("/trades", operation_id="list_exchange_trades", responses=problem_responses(NotFound))
async def get_trades(
    query: Annotated[TradesQuery, Query()],
    viewer: ExchangeViewer,
    services: AllServices,
    request_id: RequestId,
) -> TradePage:
    """Executions of every account, newest first, whoever placed the orders."""
    accounts = services.portfolio.accounts(viewer, [AccountId(one) for one in query.account])
    order = None if query.order is None else await services.trading.find(viewer, query.order)
    page = await services.orders.fills(
        accounts,
        views.trades_filter_of(query, order),
        cursor=query.cursor,
        limit=query.limit,
    )
    return views.trades_of(page, _read_at(services, accounts), services.clock.now(), request_id)


async def _shown(order: Order, services: Services, request_id: str) -> OrderBody:
    details = await services.orders.details(order)
    fields = views.order_fields(order, details, with_fills=True)
    return OrderBody.model_validate(fields | {"meta": plain_meta(services.clock.now(), request_id)})


def _read_at(services: Services, accounts: tuple[Account, ...]) -> dict[AccountId, datetime | None]:
    found = {}
    for account in accounts:
        status = services.portfolio.status_of(account, SyncKind.FILLS)
        found[account.id] = None if status is None else status.last_ok_at
    return found


def _response(answer: Answer) -> Response:
    response = response_of(answer)
    if answer.status == 202:
        response.headers["Location"] = f"{ORDERS_PATH}/{answer.subject}"
    return response
