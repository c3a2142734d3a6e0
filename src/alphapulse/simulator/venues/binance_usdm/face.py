"""The futures' face: routes, keys, limits and the error envelope of USD-M."""

from dataclasses import replace
from uuid import uuid4

from alphapulse.simulator.core.account import ApiKey
from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.venues.binance.auth import Authenticator
from alphapulse.simulator.venues.binance.codes import BinanceError
from alphapulse.simulator.venues.binance.dispatch import Dispatch
from alphapulse.simulator.venues.binance.limits import RateLimits
from alphapulse.simulator.venues.binance.market_session import MarketSession
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.streams import Streams
from alphapulse.simulator.venues.binance_usdm import listen_keys
from alphapulse.simulator.venues.binance_usdm.account import AccountRoutes
from alphapulse.simulator.venues.binance_usdm.algo import AlgoRoutes
from alphapulse.simulator.venues.binance_usdm.countdown import Countdown
from alphapulse.simulator.venues.binance_usdm.limits import weight
from alphapulse.simulator.venues.binance_usdm.listen_keys import ListenKeys
from alphapulse.simulator.venues.binance_usdm.market import MarketRoutes
from alphapulse.simulator.venues.binance_usdm.orders import OrderRoutes
from alphapulse.simulator.venues.binance_usdm.records import RecordRoutes
from alphapulse.simulator.venues.binance_usdm.streams import make_topic
from alphapulse.simulator.venues.binance_usdm.user_stream import UserSession, listen_key_in
from alphapulse.simulator.venues.face import Answer, Request, Session, Socket, Subject

API_HOSTS = frozenset({"fapi.binance.com"})
STREAM_HOSTS = frozenset({"fstream.binance.com"})

# The venue pings its streams this often.
PING_S = 180.0

_SEGMENTS = ("/public", "/market", "/private")

# New orders of one account are counted; tests of them are not.
_COUNTED = frozenset(
    {
        ("POST", "/fapi/v1/order"),
        ("PUT", "/fapi/v1/order"),
        ("POST", "/fapi/v1/batchOrders"),
        ("POST", "/fapi/v1/algoOrder"),
    }
)


class BinanceUsdmFace:
    """Binance USD-M futures over one venue of the core, which it shares with spot."""

    venue = "binance"
    hosts = API_HOSTS | STREAM_HOSTS
    ping_interval_s = PING_S

    def __init__(self, venue: Venue, auth_clock: AuthClock, limits: RateLimits) -> None:
        self._venue = venue
        self.limits = limits
        self._authenticator = Authenticator(venue.key, auth_clock)
        self._streams = Streams(venue, Category.LINEAR, lambda name: make_topic(name, venue))
        self._listen_keys = ListenKeys(auth_clock)
        venue.subscribe(self._listen_keys.hear)
        market = MarketRoutes(venue, auth_clock)
        orders, algo = OrderRoutes(venue, market), AlgoRoutes(venue, market)
        account = AccountRoutes(venue, market, auth_clock, limits)
        countdown = Countdown(venue, market, orders)
        records = RecordRoutes(venue, market)
        self._dispatch = Dispatch(
            venue,
            auth_clock,
            limits,
            weight=weight,
            public=market.routes,
            reads=(
                account.reads | orders.reads | algo.reads | records.reads | self._listen_keys.routes
            ),
            writes=account.writes | orders.writes | algo.writes | countdown.writes,
            counted=_COUNTED,
        )

    def answer(self, request: Request) -> Answer:
        """See `Face.answer`."""
        headers = {"x-mbx-uuid": str(uuid4())}
        try:
            result = self._serve(request, headers)
        except BinanceError as refused:
            return Answer.of(
                refused.body, status=refused.status, headers={**headers, **refused.headers}
            )
        return Answer.of(result, headers=headers)

    def connect(self, request: Request, socket: Socket) -> Session | Answer:
        """See `Face.connect`."""
        path = _without_segment(request.path)
        if request.host not in STREAM_HOSTS or not path.startswith(("/ws", "/stream")):
            return Answer(404, b"", "text/plain")
        listen_key = listen_key_in(request)
        if listen_key is not None:
            return UserSession(socket, listen_key, self._venue, self._listen_keys)
        return MarketSession(socket, replace(request, path=path), self._streams)

    def subject(self, request: Request) -> Subject:
        """See `Face.subject`."""
        key = self._venue.key(request.headers.get("X-MBX-APIKEY", ""))
        label = None if key is None else self._venue.accounts[key.account_id].label
        return Subject(label, Params.of(request).optional("symbol"))

    def refusal(self, code: int, message: str) -> Answer:
        """See `Face.refusal`."""
        return Answer.of({"code": code, "msg": message}, status=400)

    def _serve(self, request: Request, headers: dict[str, str]) -> object:
        params = Params.of(request)

        def key() -> ApiKey:
            # A listen key is asked for with the key alone.
            if request.path == listen_keys.PATH:
                return self._authenticator.known(request.headers.get("X-MBX-APIKEY", ""))
            return self._authenticator.of_request(request, params)

        return self._dispatch.serve(
            request.remote, request.method, request.path, params, key, headers
        )


def _without_segment(path: str) -> str:
    """``/ws..`` or ``/stream..``; the venue sorts its streams into segments, and all of them are
    served under each."""
    for segment in _SEGMENTS:
        if path.startswith(f"{segment}/"):
            return path.removeprefix(segment)
    return path
