"""Bybit's face: routes, keys, limits and the envelope around every answer."""

from alphapulse.simulator.core.account import ApiKey
from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.venues.bybit import codes
from alphapulse.simulator.venues.bybit.account import AccountRoutes
from alphapulse.simulator.venues.bybit.asset_records import AssetRecordRoutes
from alphapulse.simulator.venues.bybit.auth import Authenticator
from alphapulse.simulator.venues.bybit.call import Caller, answer
from alphapulse.simulator.venues.bybit.codes import BybitError
from alphapulse.simulator.venues.bybit.limits import RateLimits
from alphapulse.simulator.venues.bybit.market import MarketRoutes
from alphapulse.simulator.venues.bybit.params import Params
from alphapulse.simulator.venues.bybit.position_routes import PositionRoutes
from alphapulse.simulator.venues.bybit.private_stream import (
    PERMISSION_DENIED,
    PrivateSession,
    TradeSession,
)
from alphapulse.simulator.venues.bybit.public_stream import PublicFeed, PublicSession
from alphapulse.simulator.venues.bybit.trading import TradingRoutes
from alphapulse.simulator.venues.bybit.transaction_log import LogRoutes
from alphapulse.simulator.venues.face import Answer, Request, Session, Socket, Subject

PUBLIC = "/v5/public/"


class BybitFace:
    """Bybit v5 over one venue of the core."""

    venue = "bybit"
    hosts = frozenset({"api.bybit.com", "api.bytick.com", "stream.bybit.com"})
    ping_interval_s = None

    def __init__(self, venue: Venue, auth_clock: AuthClock, limits: RateLimits) -> None:
        self._venue = venue
        self._clock = auth_clock
        self.limits = limits
        self._authenticator = Authenticator(venue.key, auth_clock)
        market = MarketRoutes(venue, auth_clock)
        trading = TradingRoutes(venue)
        self._public = market.routes
        self._reads = (
            AccountRoutes(venue, market).routes
            | LogRoutes(venue).routes
            | AssetRecordRoutes(venue).routes
            | trading.reads
        )
        self._writes = PositionRoutes(venue, market).routes | trading.writes
        self._feeds = {
            "spot": PublicFeed(venue, Category.SPOT),
            "linear": PublicFeed(venue, Category.LINEAR),
            "inverse": PublicFeed(venue, None),
            "option": PublicFeed(venue, None),
        }

    def answer(self, request: Request) -> Answer:
        """See `Face.answer`."""
        now_ms = self._clock.now_ms()
        if self.limits.is_banned(request.remote, now_ms):
            return Answer(403, b"access too frequent", "text/plain")
        try:
            return self._route(request, now_ms)
        except BybitError as refused:
            return answer(refused.code, refused.message, {}, now_ms)

    def connect(self, request: Request, socket: Socket) -> Session | Answer:
        """See `Face.connect`."""
        if request.path == "/v5/private":
            return PrivateSession(socket, self._venue, self._authenticator)
        if request.path == "/v5/trade":
            return TradeSession(socket, self._venue, self._authenticator, self._writes)
        feed = self._feeds.get(request.path.removeprefix(PUBLIC))
        if feed is None or not request.path.startswith(PUBLIC):
            return Answer(404, b"", "text/plain")
        return PublicSession(socket, feed)

    def subject(self, request: Request) -> Subject:
        """See `Face.subject`."""
        key = self._venue.key(request.headers.get("X-BAPI-API-KEY", ""))
        label = None if key is None else self._venue.accounts[key.account_id].label
        try:
            return Subject(label, Params.of(request).optional("symbol"))
        except BybitError:
            return Subject(label)

    def refusal(self, code: int, message: str) -> Answer:
        """See `Face.refusal`."""
        return answer(code, message, {}, self._clock.now_ms())

    def _route(self, request: Request, now_ms: int) -> Answer:
        public = self._public.get(request.path) if request.method == "GET" else None
        if public is not None:
            return answer(0, "OK", public(Params.of(request)), now_ms)
        is_write = request.method == "POST"
        handler = (self._writes if is_write else self._reads).get(request.path)
        if handler is None:
            raise BybitError(codes.ROUTE, "Request path not found or request method is invalid.")
        key = self._authenticator.of_request(request)
        budget = self.limits.spend(key, request.path, now_ms)
        try:
            if budget.is_exceeded:
                raise BybitError(codes.TOO_MANY, "Too many visits. Exceeded the API Rate Limit.")
            _check_permission(key, is_write=is_write)
            caller = Caller(key, self._venue.accounts[key.account_id])
            result = handler(Params.of(request), caller)
        except BybitError as refused:
            return answer(refused.code, refused.message, {}, now_ms, budget.headers)
        return answer(0, "OK", result, now_ms, budget.headers)


def _check_permission(key: ApiKey, *, is_write: bool) -> None:
    if not (key.can_trade if is_write else key.can_read):
        raise BybitError(codes.PERMISSION, PERMISSION_DENIED)
