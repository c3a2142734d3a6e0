"""Binance's face: routes, keys, limits and the error envelope of spot."""

from collections.abc import Callable
from uuid import uuid4

from alphapulse.simulator.core.account import ApiKey
from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.drivers.step import DepthSnapshot, RawFrame
from alphapulse.simulator.venues.binance.auth import Authenticator
from alphapulse.simulator.venues.binance.codes import BinanceError
from alphapulse.simulator.venues.binance.dispatch import Dispatch
from alphapulse.simulator.venues.binance.limits import RateLimits
from alphapulse.simulator.venues.binance.market_rows import Row
from alphapulse.simulator.venues.binance.market_session import MarketSession
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.recording import Recording
from alphapulse.simulator.venues.binance.streams import Streams
from alphapulse.simulator.venues.binance_spot.account import AccountRoutes
from alphapulse.simulator.venues.binance_spot.limits import uid_weight, weight
from alphapulse.simulator.venues.binance_spot.market import MarketRoutes
from alphapulse.simulator.venues.binance_spot.money import MoneyRoutes
from alphapulse.simulator.venues.binance_spot.orders import OrderRoutes
from alphapulse.simulator.venues.binance_spot.streams import make_topic
from alphapulse.simulator.venues.binance_spot.ws_api import ApiSession
from alphapulse.simulator.venues.face import Answer, Request, Session, Socket, Subject

API_HOSTS = frozenset(
    {
        "api.binance.com",
        "api-gcp.binance.com",
        "api1.binance.com",
        "api2.binance.com",
        "api3.binance.com",
        "api4.binance.com",
        "data-api.binance.vision",
    }
)
STREAM_HOSTS = frozenset({"stream.binance.com", "data-stream.binance.vision"})
WS_API_HOSTS = frozenset({"ws-api.binance.com"})

# Clients that load every kind of market find that no inverse future is listed.
INVERSE_HOSTS = frozenset({"dapi.binance.com"})
_INVERSE_EXCHANGE_INFO = "/dapi/v1/exchangeInfo"

# The venue pings its streams this often.
PING_S = 20.0

# New orders of one account are counted; tests of them are not.
_COUNTED = frozenset({("POST", "/api/v3/order"), ("POST", "/api/v3/order/cancelReplace")})


class BinanceSpotFace:
    """Binance spot over one venue of the core."""

    venue = "binance"
    hosts = API_HOSTS | STREAM_HOSTS | WS_API_HOSTS | INVERSE_HOSTS
    ping_interval_s = PING_S

    def __init__(self, venue: Venue, auth_clock: AuthClock, limits: RateLimits) -> None:
        self._venue = venue
        self._clock = auth_clock
        self.limits = limits
        self._authenticator = Authenticator(venue.key, auth_clock)
        recording = Recording()
        self._streams = Streams(
            venue, Category.SPOT, lambda name: make_topic(name, venue), recording
        )
        market = MarketRoutes(venue, auth_clock, recording)
        orders = OrderRoutes(venue, market)
        account = AccountRoutes(venue, market, auth_clock, limits)
        self._dispatch = Dispatch(
            venue,
            auth_clock,
            limits,
            weight=weight,
            uid_weight=uid_weight,
            public=market.routes,
            reads=account.reads | orders.reads | MoneyRoutes(venue).reads,
            writes=account.writes | orders.writes,
            counted=_COUNTED,
        )

    def answer(self, request: Request) -> Answer:
        """See `Face.answer`."""
        headers = {"x-mbx-uuid": str(uuid4())}
        if request.host in INVERSE_HOSTS:
            return self._answer_inverse(request)
        try:
            result = self._serve_http(request, headers)
        except BinanceError as refused:
            return Answer.of(
                refused.body, status=refused.status, headers={**headers, **refused.headers}
            )
        return Answer.of(_in_unit(request, result), headers=headers)

    def connect(self, request: Request, socket: Socket) -> Session | Answer:
        """See `Face.connect`."""
        if request.host in WS_API_HOSTS and request.path.startswith("/ws-api/v3"):
            return self._connect_api(request, socket)
        is_stream = request.path.startswith(("/ws", "/stream"))
        if request.host in STREAM_HOSTS and is_stream:
            return MarketSession(socket, request, self._streams)
        return Answer(404, b"", "text/plain")

    def subject(self, request: Request) -> Subject:
        """See `Face.subject`."""
        key = self._venue.key(request.headers.get("X-MBX-APIKEY", ""))
        label = None if key is None else self._venue.accounts[key.account_id].label
        return Subject(label, Params.of(request).optional("symbol"))

    def refusal(self, code: int, message: str) -> Answer:
        """See `Face.refusal`."""
        return Answer.of({"code": code, "msg": message}, status=400)

    def relay(self, thing: RawFrame | DepthSnapshot) -> None:
        """Take what a frame replay plays, byte for byte."""
        self._streams.relay(thing)

    def _connect_api(self, request: Request, socket: Socket) -> Session:
        def route(method: str, path: str, params: Params, key: Callable[[], ApiKey]) -> object:
            return self._dispatch.serve(request.remote, method, path, params, key, {})

        return ApiSession(
            socket,
            request.remote,
            self._venue,
            self._authenticator,
            self._clock,
            self.limits,
            route,
        )

    def _serve_http(self, request: Request, headers: dict[str, str]) -> object:
        params = Params.of(request)

        def key() -> ApiKey:
            return self._authenticator.of_request(request, params)

        return self._dispatch.serve(
            request.remote, request.method, request.path, params, key, headers
        )

    def _answer_inverse(self, request: Request) -> Answer:
        if request.path != _INVERSE_EXCHANGE_INFO:
            return Answer(404, b"", "text/plain")
        row: Row = {
            "timezone": "UTC",
            "serverTime": self._clock.now_ms(),
            "rateLimits": [],
            "exchangeFilters": [],
            "assets": [],
            "symbols": [],
        }
        return Answer.of(row)


# Times in answers, by key and, in candles, by place.
_TIMES = frozenset(
    {
        *("time", "updateTime", "transactTime", "workingTime", "serverTime"),
        *("openTime", "closeTime", "T", "authorizedSince", "connectedSince"),
    }
)


def _in_unit(request: Request, result: object) -> object:
    """In microseconds, for clients that ask for them."""
    if request.headers.get("X-MBX-TIME-UNIT", "").upper() != "MICROSECOND":
        return result
    return _microseconds(result)


def _microseconds(value: object) -> object:
    if isinstance(value, dict):
        return {
            name: one * 1000 if name in _TIMES and isinstance(one, int) else _microseconds(one)
            for name, one in value.items()
        }
    if isinstance(value, list):
        is_candle = len(value) == 12 and isinstance(value[0], int)
        if is_candle:
            return [value[0] * 1000, *value[1:6], value[6] * 1000, *value[7:]]
        return [_microseconds(one) for one in value]
    return value
