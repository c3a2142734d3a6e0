"""REST API Endpoints: what people say an asset is worth, where no market says it."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from alphapulse.api.auth import PortfolioKeeper, PortfolioViewer
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.prices import (
    ManualPriceBody,
    ManualPriceInput,
    ManualPricePage,
    ManualPricesQuery,
    UnsayQuery,
)
from alphapulse.api.views import prices as views
from alphapulse.api.views.lots import meta_in
from alphapulse.api.views.meta import plain_meta
from alphapulse.api.views.orders import utc
from alphapulse.domain import identifiers
from alphapulse.errors import NotFound

router = APIRouter(prefix="/api/portfolio/prices", tags=["portfolio"])

AssetPath = Annotated[str, Path(max_length=40, examples=["LUNA"])]


@router.get("", operation_id="list_portfolio_prices", responses=problem_responses())
async def get_prices(
    query: Annotated[ManualPricesQuery, Query()],
    viewer: PortfolioViewer,
    services: AllServices,
    request_id: RequestId,
) -> ManualPricePage:
    """What people say, with who and when: the newest of each asset, or all of one `asset`.

    A price that was said holds for everybody who uses this installation.
    """
    only = None if query.asset is None else identifiers.asset(query.asset.upper())
    said = await services.manual_prices.list(only)
    meta = meta_in(viewer.currency, services.clock.now(), request_id)
    return views.page_of(said, services.live.book, viewer, meta)


@router.put("/{asset}", operation_id="say_portfolio_price", responses=problem_responses())
async def put_price(
    asset: AssetPath,
    body: ManualPriceInput,
    caller: PortfolioKeeper,
    services: AllServices,
    request_id: RequestId,
) -> ManualPriceBody:
    """Say what one unit of an asset is worth, now or as of a moment of the past.

    It values what is held where no market does: a market that is live or delayed goes before it,
    and of a market that fell silent and a person the later word counts. For the cost basis it is
    the rate of the day (UTC) of `as_of`, before what markets told of that day. No order and no
    rebalance is made or checked with it.
    """
    said = await services.manual_prices.say(
        caller,
        identifiers.asset(asset.upper()),
        body.value,
        identifiers.asset(body.currency.upper(), "currency"),
        utc(body.as_of),
    )
    now = services.clock.now()
    (price,) = said.prices
    return ManualPriceBody(
        meta=plain_meta(now, request_id), said=views.view_of(price, said.names, now)
    )


@router.delete(
    "/{asset}",
    operation_id="unsay_portfolio_price",
    status_code=204,
    responses=problem_responses(NotFound),
)
async def delete_price(
    asset: AssetPath,
    query: Annotated[UnsayQuery, Query()],
    caller: PortfolioKeeper,
    services: AllServices,
) -> None:
    """Take back all that was said of an asset, or only what was said of one moment."""
    await services.manual_prices.take_back(
        caller, identifiers.asset(asset.upper()), utc(query.as_of)
    )
