"""Bybit's private stream and its trade socket: both start with a signed greeting."""

from typing import TypeGuard
from uuid import uuid4

import msgspec

from alphapulse.simulator.core.account import Account, ApiKey
from alphapulse.simulator.core.events import (
    BalancesChanged,
    CoreEvent,
    FundingCharged,
    Happening,
    OrderChanged,
    PositionChanged,
)
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.venues.bybit import codes
from alphapulse.simulator.venues.bybit.account import funding_row
from alphapulse.simulator.venues.bybit.auth import Authenticator
from alphapulse.simulator.venues.bybit.call import Caller, Private
from alphapulse.simulator.venues.bybit.codes import BybitError
from alphapulse.simulator.venues.bybit.conversation import Conversation, request_id, topics_of
from alphapulse.simulator.venues.bybit.holdings import stream_position_row, stream_wallet_row
from alphapulse.simulator.venues.bybit.params import Params
from alphapulse.simulator.venues.bybit.rows import Row, stream_execution_row, stream_order_row
from alphapulse.simulator.venues.face import Socket

TOPICS = {
    *("order", "order.spot", "order.linear"),
    *("execution", "execution.spot", "execution.linear"),
    *("position", "position.linear", "wallet"),
}


class AuthenticatedSession(Conversation):
    """A socket that does nothing before its client has signed."""

    def __init__(self, socket: Socket, venue: Venue, authenticator: Authenticator) -> None:
        super().__init__(socket)
        self._venue = venue
        self._authenticator = authenticator
        self._key: ApiKey | None = None

    def greet(self, message: Row) -> None:
        """Check the signature; from then on the socket belongs to the account.

        Raises:
            BybitError: wrong key, signature or time.
        """
        args = message.get("args")
        key = self._authenticator.of_greeting(args if isinstance(args, list) else [])
        self._key = key
        self._socket.account = self._venue.accounts[key.account_id].label

    def caller(self) -> Caller:
        """Who signed, if the key still stands.

        Raises:
            BybitError: nobody did, or the key is gone.
        """
        if self._key is None:
            raise BybitError(codes.KEY, "Request not authorized")
        if self._venue.key(self._key.key) is None:
            raise BybitError(codes.KEY, "API key is invalid.")
        return Caller(self._key, self._venue.accounts[self._key.account_id])


class PrivateSession(AuthenticatedSession):
    """Orders, executions, wallet and positions of one account."""

    def __init__(self, socket: Socket, venue: Venue, authenticator: Authenticator) -> None:
        super().__init__(socket, venue, authenticator)
        self._topics: set[str] = set()
        self._unsubscribe = venue.subscribe(self._hear)

    def on_op(self, op: str, message: Row) -> None:
        match op:
            case "ping":
                self._pong(message)
            case "auth":
                self.greet(message)
                self.acknowledge(message)
            case "subscribe":
                self._subscribe(message)
            case "unsubscribe":
                self._topics.difference_update(topics_of(message))
                self.acknowledge(message)
            case _:
                raise BybitError(codes.PARAMS, "error:invalid op")

    def on_close(self) -> None:
        self._unsubscribe()

    def _pong(self, message: Row) -> None:
        self.reply(
            {
                "req_id": request_id(message),
                "op": "pong",
                "args": [str(self._venue.clock.now_ms())],
                "conn_id": self.conn_id,
            }
        )

    def _subscribe(self, message: Row) -> None:
        names = topics_of(message)
        unknown = [name for name in names if name not in TOPICS]
        if unknown:
            raise BybitError(codes.PARAMS, f"error:handler not found,topic:{unknown[0]}")
        self.caller()
        self._topics.update(names)
        self.acknowledge(message)

    def _hear(self, event: CoreEvent) -> None:
        if not self._topics or self._key is None:
            return
        if getattr(event, "account_id", None) != self._key.account_id:
            return
        if self._venue.key(self._key.key) is None:
            self._socket.close(1008, "API key is invalid.")
            return
        self._tell(event, self._venue.accounts[self._key.account_id])

    def _tell(self, event: CoreEvent, account: Account) -> None:
        match event:
            case OrderChanged():
                self._tell_order(event, account)
            case BalancesChanged():
                self._send("wallet", None, stream_wallet_row(self._venue, account, event.assets))
            case PositionChanged():
                row = stream_position_row(self._venue, account, event.instrument)
                self._send("position", Category.LINEAR, row)
            case FundingCharged():
                row = funding_row(event) | {"category": "linear", "isLeverage": "0"}
                self._send("execution", Category.LINEAR, row)
            case _:
                return

    def _tell_order(self, event: OrderChanged, account: Account) -> None:
        category = event.order.instrument.category
        if event.fill is not None:
            mark = self._venue.mark_price(event.order.instrument)
            row = stream_execution_row(event.fill, event.order, mark)
            self._send("execution", category, row)
        has_triggered = event.happening is Happening.TRIGGERED
        row = stream_order_row(event.order, has_triggered=has_triggered)
        self._send("order", category, row)

    def _send(self, topic: str, category: Category | None, row: Row) -> None:
        """Under the name the client chose: for all categories, or for this one."""
        names = (topic, f"{topic}.{category}")
        for name in self._topics.intersection(names):
            frame = {
                "id": str(uuid4()),
                "topic": name,
                "creationTime": self._venue.clock.now_ms(),
                "data": [row],
            }
            symbol = row.get("symbol")
            self._socket.send(
                msgspec.json.encode(frame),
                topic=name,
                symbol=symbol if isinstance(symbol, str) else None,
            )


class TradeSession(AuthenticatedSession):
    """Orders over a socket: the same handlers as REST, in another envelope."""

    def __init__(
        self,
        socket: Socket,
        venue: Venue,
        authenticator: Authenticator,
        handlers: dict[str, Private],
    ) -> None:
        super().__init__(socket, venue, authenticator)
        self._handlers = handlers

    def on_op(self, op: str, message: Row) -> None:
        if op == "ping":
            self.answer(message, 0, "OK", {})
        elif op == "auth":
            self.greet(message)
            self.answer(message, 0, "OK", {})
        else:
            self._order(op, message)

    def on_close(self) -> None:
        """Nothing was subscribed."""

    def refuse(self, message: Row, refused: BybitError) -> None:
        self.answer(message, refused.code, refused.message, {})

    def answer(self, message: Row, code: int, text: str, data: Row) -> None:
        now_ms = self._venue.clock.now_ms()
        self.reply(
            {
                "reqId": str(message.get("reqId", "")),
                "retCode": code,
                "retMsg": text,
                "op": str(message.get("op", "")),
                "data": data,
                "retExtInfo": {},
                "header": {"Timenow": str(now_ms), "Traceid": f"{now_ms:032x}"},
                "connId": self.conn_id,
            }
        )

    def _order(self, op: str, message: Row) -> None:
        handler = self._handlers.get(f"/v5/{op.replace('.', '/')}")
        args = message.get("args")
        if handler is None or not isinstance(args, list) or not args or not _is_object(args[0]):
            raise BybitError(codes.ROUTE, "Route not found.")
        header = message.get("header")
        self._authenticator.check_header(header if _is_object(header) else {})
        caller = self.caller()
        if not caller.key.can_trade:
            raise BybitError(codes.PERMISSION, PERMISSION_DENIED)
        self.answer(message, 0, "OK", handler(Params(args[0]), caller))


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


PERMISSION_DENIED = "Permission denied, please check your API key permissions."
