"""REST API Endpoints: prices."""

from typing import Annotated

from fastapi import APIRouter, Query

from alphapulse.api.auth import MarketReader
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.market import PricePage, PricesQuery
from alphapulse.api.views import market
from alphapulse.errors import InvalidInput, NotReady

router = APIRouter(prefix="/api/market", tags=["market"])


@router.get(
    "/prices",
    operation_id="list_market_prices",
    responses=problem_responses(InvalidInput, NotReady),
)
async def get_prices(
    query: Annotated[PricesQuery, Query()],
    caller: MarketReader,
    services: AllServices,
    request_id: RequestId,
) -> PricePage:
    """The newest price of each market, with its age, its source and how far to trust it."""
    return market.prices_of(services.market, query, services.clock.now(), request_id)
