"""Binance spot private stream: the user data stream of the WebSocket API, signed per request.

Events come as ``{"subscriptionId":0,"event":{...}}``. A balance event names the changed assets
only; every fill is an execution report of its own.

Source: https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream, 2026-11.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from alphapulse.domain.balance import Balance, BalanceReport, Wallet
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import Fill, Order
from alphapulse.errors import AlphaPulseError, StreamLost
from alphapulse.exchanges import venues
from alphapulse.exchanges.ccxt import errors, parse
from alphapulse.exchanges.ccxt.errors import Intent
from alphapulse.exchanges.ccxt.transport import Answer
from alphapulse.exchanges.port import PrivateUpdate
from alphapulse.exchanges.streams.private import Answered, Message

EXCHANGE = ExchangeId("binance")

# The account's deltas, order lists and locks: what they mean arrives in the events that are read.
_NO_NEWS = {"balanceUpdate", "externalLockUpdate", "listStatus"}

# The asset, the order or the stream is about to go away; what follows says so by itself.
_FAREWELLS = {"eventStreamTerminated", "serverShutdown"}


class BinancePrivate:
    """Reads one spot account's events with CCXT's own parsers."""

    exchange = EXCHANGE

    def __init__(self, client: Any, account_id: AccountId, now: Callable[[], datetime]) -> None:
        self._client = client
        self._account_id = account_id
        self._now = now

    def url(self, client: Any) -> str:
        return str(client.urls["api"]["ws"]["ws-api"]["spot"])

    def requests(self, client: Any) -> Sequence[Message]:
        method = "userDataStream.subscribe.signature"
        return ({"id": "1", "method": method, "params": client.sign_params({})},)

    def read(self, message: Message) -> PrivateUpdate | Answered | None:
        if "event" in message:
            return self._event(message["event"])
        if "status" in message:
            return Answered(_refusal(message))
        return None

    def _event(self, event: Message) -> PrivateUpdate:
        kind = event["e"]
        if kind == "executionReport":
            order = self._order(event)
            return PrivateUpdate((order,), self._fills(event, order))
        if kind == "outboundAccountPosition":
            return PrivateUpdate(balances=self._balances(event))
        if kind in _FAREWELLS:
            raise StreamLost("the venue ends the private stream", exchange=EXCHANGE, event=kind)
        if kind in _NO_NEWS:
            return PrivateUpdate()
        raise parse.broken("an event of an unknown kind", event=kind)

    def _order(self, event: Message) -> Order:
        raw = self._client.parse_ws_order(event)
        # CCXT leaves out when it happened, unless it was a trade.
        raw["lastUpdateTimestamp"] = event["T"]
        return parse.order(raw, self._account_id, EXCHANGE, self._now())

    def _fills(self, event: Message, order: Order) -> tuple[Fill, ...]:
        if event["x"] != "TRADE":
            return ()
        raw = self._client.parse_ws_trade(event)
        fill = parse.fill(
            raw, self._account_id, EXCHANGE, self._now(), client_order_id=order.client_order_id
        )
        return (fill,)

    def _balances(self, event: Message) -> BalanceReport:
        now = self._now()
        return BalanceReport(
            account_id=self._account_id,
            wallets=frozenset({Wallet.SPOT}),
            balances=tuple(self._balance(row) for row in event["B"]),
            occurred_at=parse.moment(event, "u", now),
            received_at=now,
            is_partial=True,
        )

    def _balance(self, row: Message) -> Balance:
        return Balance(
            wallet=Wallet.SPOT,
            asset=parse.asset_of(self._client.safe_currency_code(parse.text(row, "a"))),
            free=parse.decimal(row, "f"),
            locked=parse.decimal(row, "l"),
            borrowed=ZERO,
        )


def _refusal(message: Message) -> AlphaPulseError | None:
    """What the venue's table says of a refused request; lost where it says nothing."""
    status = int(message["status"])
    if status == 200:
        return None
    answer = Answer(status, "", {}, b"")
    rule, code, text = venues.profile(EXCHANGE).rule(status, message.get("error"))
    if rule is None:
        return StreamLost(
            "private stream refused", exchange=EXCHANGE, venue_code=code, venue_message=text
        )
    return errors.of_rule(rule, answer, code, text, intent=Intent.READ, exchange=EXCHANGE)
