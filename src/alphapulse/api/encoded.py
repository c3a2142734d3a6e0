"""Encoded answers: the bodies of the hot reads as bytes, made once per change for each viewer.

A body begins with the id of its request, so that the rest is the same for everyone.
"""

from collections.abc import Callable

from pydantic import BaseModel

from alphapulse.api.schemas.exchange import BalanceQuery
from alphapulse.api.schemas.market import PricesQuery
from alphapulse.api.schemas.portfolio import PositionsQuery
from alphapulse.api.views import exchange, market, portfolio, positions
from alphapulse.api.views.basis import with_basis
from alphapulse.api.views.meta import NO_ID
from alphapulse.security.scopes import Scope
from alphapulse.services.business_logic import Services
from alphapulse.services.paced import Paced
from alphapulse.services.viewer import NOBODY, Viewer

_HEAD = b'{"meta":{"request_id":"'

PRICES = "/api/market/prices"

HOT = {
    "/api/portfolio/summary": Scope.PORTFOLIO_READ,
    "/api/portfolio/positions": Scope.PORTFOLIO_READ,
    "/api/exchange/balance": Scope.EXCHANGE_READ,
    PRICES: Scope.MARKET_READ,
}
"""The reads that dashboards repeat, and the scope each needs."""

_POSITIONS, _BALANCE, _PRICES = PositionsQuery(), BalanceQuery(), PricesQuery()


class EncodedAnswers:
    """One body per path and viewer, encoded when somebody asks after something changed."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tails: dict[str, Paced[bytes]] = {
            path: Paced(services.live, services.clock) for path in HOT
        }
        self._makers: dict[str, Callable[[Viewer], BaseModel]] = {
            "/api/portfolio/summary": self._summary,
            "/api/portfolio/positions": self._positions,
            "/api/exchange/balance": self._balance,
            PRICES: self._prices,
        }

    def body(self, path: str, viewer: Viewer, request_id: bytes) -> bytes:
        """The answer of a hot path without parameters.

        Raises:
            AlphaPulseError: there is no answer; the route says so properly.
        """
        key = NOBODY if path == PRICES else viewer
        tail = self._tails[path].get(key, lambda: _tail(self._makers[path](viewer)))
        return b"%s%s%s" % (_HEAD, request_id, tail)

    def _summary(self, viewer: Viewer) -> BaseModel:
        services = self._services
        snapshot = services.portfolio.value(viewer)
        facts = services.facts.of(snapshot.accounts, viewer.currency)
        summary = portfolio.summary_of(snapshot, services.portfolio, services.live, facts, NO_ID)
        return with_basis(summary, services.basis.of(snapshot))

    def _positions(self, viewer: Viewer) -> BaseModel:
        services = self._services
        snapshot = services.portfolio.value(viewer)
        basis = services.basis.of(snapshot)
        live, facts = services.live, services.facts
        return positions.page_of(snapshot, live, facts, basis, _POSITIONS, NO_ID)

    def _balance(self, viewer: Viewer) -> BaseModel:
        service, book = self._services.portfolio, self._services.live.book
        return exchange.balances_of(service.value(viewer), service, book, _BALANCE, NO_ID)

    def _prices(self, viewer: Viewer) -> BaseModel:
        services = self._services
        return market.prices_of(services.market, _PRICES, services.clock.now(), NO_ID)


def _tail(model: BaseModel) -> bytes:
    body = model.__pydantic_serializer__.to_json(model, by_alias=True)
    assert body.startswith(_HEAD + b'"'), "the id of the request comes first"
    return body[len(_HEAD) :]
