"""WebSocket API: requests as over REST, and the account's own stream on the same socket.

Source: https://developers.binance.com/docs/binance-spot-api-docs/websocket-api, 2026-11.
"""

from collections.abc import Callable, Mapping
from typing import TypeGuard

import msgspec

from alphapulse.simulator.core.account import ApiKey
from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.core.events import (
    BalancesChanged,
    Cause,
    CoreEvent,
    OrderChanged,
    UserStreamEnded,
)
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.venues.binance.auth import Authenticator
from alphapulse.simulator.venues.binance.codes import BinanceError, bad_key
from alphapulse.simulator.venues.binance.limits import RateLimits
from alphapulse.simulator.venues.binance.market_rows import Row
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance_spot import user_events
from alphapulse.simulator.venues.face import Socket

# What each method is called over REST.
METHODS = {
    "ping": ("GET", "/api/v3/ping"),
    "time": ("GET", "/api/v3/time"),
    "exchangeInfo": ("GET", "/api/v3/exchangeInfo"),
    "depth": ("GET", "/api/v3/depth"),
    "trades.recent": ("GET", "/api/v3/trades"),
    "trades.historical": ("GET", "/api/v3/historicalTrades"),
    "trades.aggregate": ("GET", "/api/v3/aggTrades"),
    "klines": ("GET", "/api/v3/klines"),
    "uiKlines": ("GET", "/api/v3/uiKlines"),
    "avgPrice": ("GET", "/api/v3/avgPrice"),
    "ticker.24hr": ("GET", "/api/v3/ticker/24hr"),
    "ticker.price": ("GET", "/api/v3/ticker/price"),
    "ticker.book": ("GET", "/api/v3/ticker/bookTicker"),
    "order.place": ("POST", "/api/v3/order"),
    "order.test": ("POST", "/api/v3/order/test"),
    "order.status": ("GET", "/api/v3/order"),
    "order.cancel": ("DELETE", "/api/v3/order"),
    "order.cancelReplace": ("POST", "/api/v3/order/cancelReplace"),
    "order.amend.keepPriority": ("PUT", "/api/v3/order/amend/keepPriority"),
    "openOrders.status": ("GET", "/api/v3/openOrders"),
    "openOrders.cancelAll": ("DELETE", "/api/v3/openOrders"),
    "allOrders": ("GET", "/api/v3/allOrders"),
    "myTrades": ("GET", "/api/v3/myTrades"),
    "account.status": ("GET", "/api/v3/account"),
    "account.commission": ("GET", "/api/v3/account/commission"),
    "account.rateLimits.orders": ("GET", "/api/v3/rateLimit/order"),
}

# The venue lets one connection carry many; beyond this a client has lost count.
SUBSCRIPTIONS_MAX = 100

Route = Callable[[str, str, Params, Callable[[], ApiKey]], object]
"""Serves method and path with parameters; asks for the key only where one is needed."""


class _Identified(msgspec.Struct):
    id: object = None


class _Message(msgspec.Struct):
    id: int | str | None
    method: str
    params: dict[str, msgspec.Raw] = {}


class ApiSession:
    """One client of the WebSocket API."""

    def __init__(
        self,
        socket: Socket,
        remote: str,
        venue: Venue,
        authenticator: Authenticator,
        clock: AuthClock,
        limits: RateLimits,
        route: Route,
    ) -> None:
        self._socket = socket
        self._remote = remote
        self._venue = venue
        self._authenticator = authenticator
        self._clock = clock
        self._limits = limits
        self._route = route
        self._connected_ms = clock.now_ms()
        self._logged_on: ApiKey | None = None
        self._logged_on_ms = 0
        self._subscriptions: dict[int, ApiKey] = {}
        self._next_subscription = 0
        self._unsubscribe = venue.subscribe(self._hear)
        self._own: dict[str, Callable[[Mapping[str, str]], object]] = {
            "session.logon": self._log_on,
            "session.status": self._session_status,
            "session.logout": self._log_out,
            "userDataStream.subscribe": self._subscribe_session,
            "userDataStream.subscribe.signature": self._subscribe_signed,
            "userDataStream.unsubscribe": self._unsubscribe_stream,
            "session.subscriptions": self._list_subscriptions,
        }

    def on_text(self, text: str) -> None:
        """A request of the client; answered in any case."""
        message_id: object = None
        try:
            message = _decode(text)
            message_id = message.id
            result = self._do(message.method, _texts(message.params))
        except BinanceError as refused:
            self._reply(message_id, refused.status, "error", refused.body)
        else:
            self._reply(message_id, 200, "result", result)

    def on_refused(self, text: str, code: int, words: str) -> None:
        """See `Session.on_refused`."""
        message_id = msgspec.json.decode(text, type=_Identified).id
        self._reply(message_id, 400, "error", {"code": code, "msg": words})

    def on_shutdown(self) -> None:
        """See `Session.on_shutdown`."""
        event = {"e": "serverShutdown", "E": self._clock.now_ms()}
        self._socket.send(msgspec.json.encode({"event": event}), topic="serverShutdown")

    def on_close(self) -> None:
        self._unsubscribe()

    def _do(self, method: str, values: Mapping[str, str]) -> object:
        own = self._own.get(method)
        if own is not None:
            self._limits.spend(self._remote, "/ws-api", 2, self._clock.now_ms())
            return own(values)
        if method not in METHODS:
            raise BinanceError(-1020, f"Unsupported operation: {method}.")
        return self._route(*METHODS[method], Params(values), lambda: self._key(values))

    def _key(self, values: Mapping[str, str]) -> ApiKey:
        """Who signed this request, or who logged on before."""
        if "apiKey" in values or self._logged_on is None:
            return self._authenticator.of_params(values)
        self._authenticator.check_time(Params(values))
        return self._standing(self._logged_on)

    def _standing(self, key: ApiKey) -> ApiKey:
        if self._venue.key(key.key) is None or key.is_ip_refused:
            raise bad_key()
        return key

    def _log_on(self, values: Mapping[str, str]) -> Row:
        self._logged_on = self._authenticator.of_params(values)
        self._logged_on_ms = self._clock.now_ms()
        self._claim(self._logged_on)
        return self._session_status({})

    def _session_status(self, _: Mapping[str, str]) -> Row:
        key = self._logged_on
        return {
            "apiKey": None if key is None else key.key,
            "authorizedSince": None if key is None else self._logged_on_ms,
            "connectedSince": self._connected_ms,
            "returnRateLimits": True,
            "serverTime": self._clock.now_ms(),
            "userDataStream": bool(self._subscriptions),
        }

    def _log_out(self, _: Mapping[str, str]) -> Row:
        self._logged_on = None
        return self._session_status({})

    def _subscribe_session(self, _: Mapping[str, str]) -> Row:
        if self._logged_on is None:
            raise BinanceError(-1099, "Unauthenticated, session.logon required first", status=401)
        return self._subscribe(self._standing(self._logged_on))

    def _subscribe_signed(self, values: Mapping[str, str]) -> Row:
        return self._subscribe(self._authenticator.of_params(values))

    def _subscribe(self, key: ApiKey) -> Row:
        if not key.can_read:
            raise bad_key()
        if len(self._subscriptions) >= SUBSCRIPTIONS_MAX:
            raise BinanceError(-1034, "Too many user data stream subscriptions.")
        subscription = self._next_subscription
        self._next_subscription += 1
        self._subscriptions[subscription] = key
        self._claim(key)
        return {"subscriptionId": subscription}

    def _unsubscribe_stream(self, values: Mapping[str, str]) -> Row:
        wanted = Params(values).integer("subscriptionId")
        ended = [one for one in self._subscriptions if wanted in (None, one)]
        for subscription in ended:
            self._end(subscription)
        return {}

    def _list_subscriptions(self, _: Mapping[str, str]) -> list[Row]:
        return [{"subscriptionId": subscription} for subscription in self._subscriptions]

    def _claim(self, key: ApiKey) -> None:
        """From now on faults for this account strike this socket."""
        self._socket.account = self._venue.accounts[key.account_id].label

    def _end(self, subscription: int) -> None:
        del self._subscriptions[subscription]
        self._tell(subscription, user_events.stream_terminated(self._venue.clock.now_ms()))

    def _hear(self, event: CoreEvent) -> None:
        for subscription, key in tuple(self._subscriptions.items()):
            if self._venue.key(key.key) is None or _is_end(event, key):
                self._end(subscription)
            elif _is_about(event, key):
                self._tell_event(subscription, event)

    def _tell_event(self, subscription: int, event: OrderChanged | BalancesChanged) -> None:
        if isinstance(event, OrderChanged):
            if event.order.instrument.category is Category.SPOT:
                self._tell(subscription, user_events.execution_report(event))
            return
        if event.category is not Category.SPOT:
            return
        if event.cause is not Cause.ORDER:
            self._tell(subscription, user_events.balance_update(event))
        account = self._venue.accounts[event.account_id]
        position = user_events.account_position(account, event.assets, event.at_ms)
        self._tell(subscription, position)

    def _tell(self, subscription: int, event: Row) -> None:
        frame = msgspec.json.encode({"subscriptionId": subscription, "event": event})
        self._socket.send(frame, topic=str(event["e"]), symbol=_symbol_of(event))

    def _reply(self, message_id: object, status: int, kind: str, value: object) -> None:
        used = self._limits.used(self._remote, self._clock.now_ms())
        reply = {
            "id": message_id,
            "status": status,
            kind: value,
            "rateLimits": [{**self._limits.quota.weight_row, "count": used}],
        }
        self._socket.send(msgspec.json.encode(reply))


def _is_about(event: CoreEvent, key: ApiKey) -> TypeGuard[OrderChanged | BalancesChanged]:
    return isinstance(event, OrderChanged | BalancesChanged) and event.account_id == key.account_id


def _is_end(event: CoreEvent, key: ApiKey) -> bool:
    return isinstance(event, UserStreamEnded) and event.account_id == key.account_id


def _symbol_of(event: Row) -> str | None:
    symbol = event.get("s")
    return symbol if isinstance(symbol, str) else None


def _decode(text: str) -> _Message:
    try:
        return msgspec.json.decode(text, type=_Message)
    except msgspec.DecodeError as error:
        raise BinanceError(-1135, f"Invalid JSON Request: {error}") from None


def _texts(params: dict[str, msgspec.Raw]) -> dict[str, str]:
    """Each parameter as it is signed: texts without quotes, anything else as it was written."""
    texts: dict[str, str] = {}
    for name, raw in params.items():
        written = bytes(raw).decode()
        texts[name] = msgspec.json.decode(raw, type=str) if written.startswith('"') else written
    return texts
