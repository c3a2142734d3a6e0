"""Binance USD-M private stream: a listen key in the address, events without a wrapper.

Orders of the matching engine and of the algo service are told apart; a triggered algo order is
told by the engine. Balances are told without what of them is free, so they are left to the poll.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams,
read 2026-11.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from loguru import logger

from alphapulse.domain.identifiers import AccountId, ExchangeId, Symbol
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import Fill, Order
from alphapulse.domain.position import MarginMode, Position, PositionSide
from alphapulse.errors import ExchangeError, StreamLost
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.port import PrivateUpdate
from alphapulse.exchanges.streams.private import Answered, Message

EXCHANGE = ExchangeId("binance")

URL = "wss://fstream.binance.com/private/ws?listenKey="

# A key lives for 60 minutes after it was renewed.
RENEW_EVERY_S = 20 * 60.0
RENEW_AGAIN_S = 60.0

KEY_IS_GONE = "-1125"

# What they mean arrives in the events that are read, or changes nothing that we keep.
_NO_NEWS = {
    *("TRADE_LITE", "ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL", "CONDITIONAL_ORDER_TRIGGER_REJECT"),
    *("STRATEGY_UPDATE", "GRID_UPDATE"),
}

_FAREWELLS = {"listenKeyExpired", "eventStreamTerminated", "serverShutdown"}

# Executions of the account's own orders, and of those the venue makes to close a position.
_FILLS = {"TRADE", "CALCULATED"}

_MARGIN_MODES = {"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}


@dataclass(frozen=True, slots=True)
class UsdmReaders:
    """The desk's readers of REST's rows."""

    order: Callable[[dict[str, Any]], Order]
    algo_order: Callable[[dict[str, Any]], Order]
    fill: Callable[[dict[str, Any]], Fill]
    symbol: Callable[[str], Symbol]


class BinanceUsdmPrivate:
    """Reads one futures account's events, turned into REST's rows."""

    exchange = EXCHANGE

    def __init__(
        self,
        listen_key: str,
        readers: UsdmReaders,
        account_id: AccountId,
        now: Callable[[], datetime],
    ) -> None:
        self._listen_key = listen_key
        self._readers = readers
        self._account_id = account_id
        self._now = now

    def url(self, client: Any) -> str:
        return f"{URL}{self._listen_key}"

    def requests(self, client: Any) -> Sequence[Message]:
        return ()  # the address says it all

    def read(self, message: Message) -> PrivateUpdate | Answered | None:
        kind = message.get("e")
        if kind is None:
            return None
        if kind == "ORDER_TRADE_UPDATE":
            return self._order(message["o"])
        if kind == "ALGO_UPDATE":
            return self._algo_order(message)
        if kind == "ACCOUNT_UPDATE":
            return self._positions(message)
        if kind in _FAREWELLS:
            raise StreamLost("the venue ends the private stream", exchange=EXCHANGE, event=kind)
        if kind in _NO_NEWS:
            return PrivateUpdate()
        raise parse.broken("an event of an unknown kind", event=kind)

    def _order(self, told: Message) -> PrivateUpdate:
        order = self._readers.order(_order_row(told))
        if told["x"] not in _FILLS:
            return PrivateUpdate((order,))
        fill = self._readers.fill(_fill_row(told))
        return PrivateUpdate((order,), (replace(fill, client_order_id=order.client_order_id),))

    def _algo_order(self, message: Message) -> PrivateUpdate:
        order = self._readers.algo_order(_algo_row(message))
        # Once the engine has it, the engine tells.
        return PrivateUpdate() if message["o"].get("ai") else PrivateUpdate((order,))

    def _positions(self, message: Message) -> PrivateUpdate:
        at = parse.moment(message, "T", self._now())
        rows = message["a"].get("P") or ()
        return PrivateUpdate(positions=tuple(p for row in rows for p in self._sides(row, at)))

    def _sides(self, row: Message, at: datetime) -> list[Position]:
        """The position of a row, open or closed; in one-way mode the other side is closed."""
        signed = parse.decimal(row, "pa")
        if row.get("ps") in {"LONG", "SHORT"}:
            return [self._position(row, PositionSide(str(row["ps"]).lower()), abs(signed), at)]
        return [
            self._position(row, PositionSide.LONG, max(signed, ZERO), at),
            self._position(row, PositionSide.SHORT, max(-signed, ZERO), at),
        ]

    def _position(
        self, row: Message, side: PositionSide, quantity: Decimal, at: datetime
    ) -> Position:
        is_open = quantity > 0
        return Position(
            account_id=self._account_id,
            exchange=EXCHANGE,
            symbol=self._readers.symbol(parse.text(row, "s")),
            side=side,
            quantity=quantity,
            contract_size=Decimal(1),
            entry_price=parse.decimal(row, "ep") if is_open else ZERO,
            mark_price=None,
            unrealized_pnl=parse.optional_decimal(row, "up") if is_open else None,
            realized_pnl=None,
            leverage=None,
            margin_mode=_MARGIN_MODES.get(str(row.get("mt"))) if is_open else None,
            initial_margin=None,
            maintenance_margin=None,
            liquidation_price=None,
            occurred_at=at,
            received_at=self._now(),
        )


async def keep_alive(renew: Callable[[], Awaitable[object]]) -> None:
    """Renew a listen key until canceled.

    Raises:
        StreamLost: the venue says that the key is gone; a stream over it would be silent for ever.
    """
    pause_s = RENEW_EVERY_S
    while True:
        await asyncio.sleep(pause_s)
        pause_s = RENEW_EVERY_S
        try:
            await renew()
        except ExchangeError as failed:
            if failed.facts.get("venue_code") == KEY_IS_GONE:
                raise StreamLost("the listen key is gone", exchange=EXCHANGE) from None
            logger.bind(exchange=EXCHANGE, reason=failed.code).warning("listen key not renewed")
            pause_s = RENEW_AGAIN_S


def _order_row(told: Message) -> dict[str, Any]:
    return {
        "symbol": told["s"],
        "orderId": told["i"],
        "clientOrderId": told["c"],
        "side": told["S"],
        "type": told["o"],
        "origType": told.get("ot"),
        "timeInForce": told["f"],
        "origQty": told["q"],
        "executedQty": told["z"],
        "price": told["p"],
        "avgPrice": told["ap"],
        "stopPrice": told.get("sp"),
        "status": told["X"],
        "reduceOnly": told.get("R"),
        "positionSide": told.get("ps", "BOTH"),
        "goodTillDate": told.get("gtd"),
        "updateTime": told["T"],
    }


def _algo_row(message: Message) -> dict[str, Any]:
    told = message["o"]
    return {
        "algoId": told["aid"],
        "clientAlgoId": told["caid"],
        "orderType": told["o"],
        "symbol": told["s"],
        "side": told["S"],
        "positionSide": told.get("ps", "BOTH"),
        "timeInForce": told.get("f"),
        "quantity": told["q"],
        "algoStatus": told["X"],
        "actualOrderId": told.get("ai"),
        "triggerPrice": told.get("tp"),
        "price": told.get("p"),
        "reduceOnly": told.get("R"),
        "goodTillDate": told.get("gtd"),
        "rejectReason": told.get("rm"),
        "createTime": message["T"],
        "updateTime": message["T"],
    }


def _fill_row(told: Message) -> dict[str, Any]:
    return {
        "symbol": told["s"],
        "id": told["t"],
        "orderId": told["i"],
        "side": told["S"],
        "price": told["L"],
        "qty": told["l"],
        "commission": told.get("n"),
        "commissionAsset": told.get("N"),
        "time": told["T"],
        "positionSide": told.get("ps", "BOTH"),
        "buyer": told["S"] == "BUY",
        "maker": told["m"],
    }
