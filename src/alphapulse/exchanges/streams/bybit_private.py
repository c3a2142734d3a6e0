"""Bybit v5 private stream: orders, executions, wallets and positions of a unified account.

Rows are those of the REST lists, so the adapter's own readers turn them into our values. A position
message is about one side in hedge mode and about both in one-way mode: there the other side, or
both when nothing is left, are told as closed.

Source: https://bybit-exchange.github.io/docs/v5/websocket/private/order and its siblings, 2026-11.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from alphapulse.domain.balance import Balance, BalanceReport, Wallet
from alphapulse.domain.identifiers import AccountId, ExchangeId, Symbol
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import Fill, Order
from alphapulse.domain.position import Position, PositionSide
from alphapulse.errors import AlphaPulseError, StreamLost
from alphapulse.exchanges import venues
from alphapulse.exchanges.ccxt import errors, parse
from alphapulse.exchanges.ccxt.errors import Intent
from alphapulse.exchanges.ccxt.transport import Answer
from alphapulse.exchanges.port import PrivateUpdate
from alphapulse.exchanges.streams.private import Answered, Message

EXCHANGE = ExchangeId("bybit")

CATEGORIES = ("spot", "linear")
TOPICS = ("order", "execution", "wallet", "position")

# How long the venue may take to see our login.
LOGIN_MS = 10_000


@dataclass(frozen=True, slots=True)
class BybitReaders:
    """The adapter's readers of rows; ``None`` where a row is of no interest, or flat."""

    symbol: Callable[[Message], Symbol]
    order: Callable[[Message], Order]
    fill: Callable[[Message], Fill | None]
    balance: Callable[[Message], Balance]
    position: Callable[[Message], Position | None]


class BybitPrivate:
    """Reads one unified account's messages; rows of categories that we do not serve are left."""

    exchange = EXCHANGE

    def __init__(
        self, readers: BybitReaders, account_id: AccountId, now: Callable[[], datetime]
    ) -> None:
        self._readers = readers
        self._account_id = account_id
        self._now = now

    def url(self, client: Any) -> str:
        return str(client.implode_hostname(client.urls["api"]["ws"]["private"]["contract"]))

    def requests(self, client: Any) -> Sequence[Message]:
        # Signed here because CCXT's login leaves out the measured clock offset.
        expires = str(client.nonce() + LOGIN_MS)
        signed = client.encode(f"GET/realtime{expires}")
        signature = client.hmac(signed, client.encode(client.secret), hashlib.sha256, "hex")
        return (
            {"req_id": "1", "op": "auth", "args": [client.apiKey, expires, signature]},
            {"req_id": "2", "op": "subscribe", "args": list(TOPICS)},
        )

    def read(self, message: Message) -> PrivateUpdate | Answered | None:
        if "topic" in message:
            return self._update(message)
        if message.get("op") in {"auth", "subscribe"}:
            return Answered(_refusal(message))
        return None

    def _update(self, message: Message) -> PrivateUpdate:
        topic, read = message["topic"], self._readers
        rows = [row for row in message["data"] if row.get("category", "linear") in CATEGORIES]
        if topic == "order":
            return PrivateUpdate(orders=tuple(read.order(row) for row in rows))
        if topic == "execution":
            found = (read.fill(row) for row in rows)
            return PrivateUpdate(fills=tuple(fill for fill in found if fill is not None))
        if topic == "wallet":
            return PrivateUpdate(balances=self._balances(message))
        if topic == "position":
            at = parse.moment(message, "creationTime", self._now())
            return PrivateUpdate(positions=tuple(p for row in rows for p in self._sides(row, at)))
        raise parse.broken("a message of an unknown topic", topic=topic)

    def _balances(self, message: Message) -> BalanceReport:
        now = self._now()
        return BalanceReport(
            account_id=self._account_id,
            wallets=frozenset({Wallet.UNIFIED}),
            balances=tuple(
                self._readers.balance(row) for wallet in message["data"] for row in wallet["coin"]
            ),
            occurred_at=parse.moment(message, "creationTime", now),
            received_at=now,
            is_partial=True,
        )

    def _sides(self, row: Message, at: datetime) -> list[Position]:
        """The open position of a row, and each side it speaks for on which nothing is open."""
        position = self._readers.position(row)
        told = [] if position is None else [position]
        open_side = None if position is None else position.side
        symbol = self._readers.symbol(row)
        return told + [
            self._closed(symbol, side, at)
            for side in _SIDES_OF_INDEX[row["positionIdx"]]
            if side is not open_side
        ]

    def _closed(self, symbol: Symbol, side: PositionSide, at: datetime) -> Position:
        return Position(
            account_id=self._account_id,
            exchange=EXCHANGE,
            symbol=symbol,
            side=side,
            quantity=ZERO,
            contract_size=Decimal(1),
            entry_price=ZERO,
            mark_price=None,
            unrealized_pnl=None,
            realized_pnl=None,
            leverage=None,
            margin_mode=None,
            initial_margin=None,
            maintenance_margin=None,
            liquidation_price=None,
            occurred_at=at,
            received_at=self._now(),
        )


# `positionIdx`: one-way mode, and the two sides of hedge mode.
_SIDES_OF_INDEX = {
    0: (PositionSide.LONG, PositionSide.SHORT),
    1: (PositionSide.LONG,),
    2: (PositionSide.SHORT,),
}


def _refusal(message: Message) -> AlphaPulseError | None:
    """What the venue's table says of a refused request; lost where it says nothing."""
    if message.get("success") is not False:
        return None
    said = {
        "retCode": message.get("retCode", message.get("ret_code")),
        "retMsg": message.get("retMsg", message.get("ret_msg")),
    }
    rule, code, text = venues.profile(EXCHANGE).rule(200, said)
    if rule is None:
        return StreamLost(
            "private stream refused", exchange=EXCHANGE, venue_code=code, venue_message=text
        )
    answer = Answer(200, "", {}, b"")
    return errors.of_rule(rule, answer, code, text, intent=Intent.READ, exchange=EXCHANGE)
