"""Encoded answers: the bodies of the hot reads as bytes, made once per change for each viewer.

A body begins with the id of its request, so that the rest is the same for everyone.
"""

from collections.abc import Callable

from pydantic import BaseModel

from alphapulse.api.schemas.exchange import BalanceQuery
from alphapulse.api.schemas.market import PricesQuery
from alphapulse.api.schemas.portfolio import PositionsQuery
from alphapulse.api.views import exchange, market, portfolio, positions
from alphapulse.api.views.meta import NO_ID
from alphapulse.security.scopes import Scope
from alphapulse.services.business_logic import Services
from alphapulse.services.viewer import NOBODY, Viewer

_HEAD = b'{"meta":{"request_id":"'

HOT = {
    "/api/portfolio/summary": Scope.PORTFOLIO_READ,
    "/api/portfolio/positions": Scope.PORTFOLIO_READ,
    "/api/exchange/balance": Scope.EXCHANGE_READ,
    "/api/market/prices": Scope.MARKET_READ,
}
"""The reads that dashboards repeat, and the scope each needs."""

_POSITIONS, _BALANCE, _PRICES = PositionsQuery(), BalanceQuery(), PricesQuery()


class EncodedAnswers:
    """One body per path and viewer, encoded when somebody asks after something changed."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._bodies: dict[tuple[str, Viewer], tuple[object, bytes]] = {}
        self._makers: dict[str, Callable[[Viewer], tuple[object, Callable[[], BaseModel]]]] = {
            "/api/portfolio/summary": self._summary,
            "/api/portfolio/positions": self._positions,
            "/api/exchange/balance": self._balance,
            "/api/market/prices": self._prices,
        }

    def body(self, path: str, viewer: Viewer, request_id: bytes) -> bytes:
        """The answer of a hot path without parameters.

        Raises:
            AlphaPulseError: there is no answer; the route says so properly.
        """
        made_of, make = self._makers[path](viewer)
        kept = self._bodies.get((path, viewer))
        if kept is None or kept[0] is not made_of:
            kept = (made_of, _tail(make()))
            self._bodies[path, viewer] = kept
        return b"%s%s%s" % (_HEAD, request_id, kept[1])

    def _summary(self, viewer: Viewer) -> tuple[object, Callable[[], BaseModel]]:
        services = self._services
        snapshot = services.portfolio.snapshot(viewer)
        return snapshot, lambda: portfolio.summary_of(
            snapshot, services.portfolio, services.live, NO_ID
        )

    def _positions(self, viewer: Viewer) -> tuple[object, Callable[[], BaseModel]]:
        snapshot = self._services.portfolio.snapshot(viewer)
        return snapshot, lambda: positions.page_of(snapshot, self._services.live, _POSITIONS, NO_ID)

    def _balance(self, viewer: Viewer) -> tuple[object, Callable[[], BaseModel]]:
        service = self._services.portfolio
        snapshot = service.snapshot(viewer)
        return snapshot, lambda: exchange.balances_of(snapshot, service, _BALANCE, NO_ID)

    def _prices(self, viewer: Viewer) -> tuple[object, Callable[[], BaseModel]]:
        quotes = self._services.market.all_quotes()
        now = self._services.clock.now()
        return quotes, lambda: market.page_of(quotes, _PRICES, now, NO_ID)


def shared_viewer(path: str, viewer: Viewer) -> Viewer:
    """Prices are the same for all."""
    return NOBODY if HOT[path] is Scope.MARKET_READ else viewer


def _tail(model: BaseModel) -> bytes:
    body = model.__pydantic_serializer__.to_json(model, by_alias=True)
    assert body.startswith(_HEAD + b'"'), "the id of the request comes first"
    return body[len(_HEAD) :]
