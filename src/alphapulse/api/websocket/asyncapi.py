"""AsyncAPI: the document of the WebSocket, made from the messages themselves."""

from functools import cache
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from alphapulse.api.schemas.exchange import AccountView
from alphapulse.api.schemas.market import CandleRow, PriceLine
from alphapulse.api.schemas.orders import OrderView, TradeView
from alphapulse.api.schemas.portfolio import DerivativeView, PortfolioRow, PositionView
from alphapulse.api.schemas.rebalance import ProgressRow
from alphapulse.api.websocket import messages
from alphapulse.api.websocket.channels import SCOPES, ChannelKind

_REFERENCE = "#/components/schemas/{name}"

_DESCRIPTION = (
    "JSON over one WebSocket at /api/ws. The server says hello; a client without a cookie sends"
    " auth within 5 seconds, then subscribes. Each channel begins with a snapshot, seq 0; deltas"
    " follow, keyed by id, seq one higher each. After a gap or a resync, subscribe again."
)

_CHANNELS: dict[ChannelKind, tuple[str, str, tuple[type[BaseModel], ...]]] = {
    ChannelKind.TICKER: ("ticker:<symbol>", "One market on every exchange.", (PriceLine,)),
    ChannelKind.TICKERS: ("tickers", "Every market.", (PriceLine,)),
    ChannelKind.CANDLES: (
        "candles:<symbol>:<timeframe>",
        "The newest candle of one market on every exchange.",
        (CandleRow,),
    ),
    ChannelKind.PORTFOLIO: ("portfolio", "What everything is worth.", (PortfolioRow,)),
    ChannelKind.POSITIONS: (
        "positions",
        "Every asset in every wallet, every open contract.",
        (PositionView, DerivativeView),
    ),
    ChannelKind.ORDERS: (
        "orders",
        "Orders that have not ended, and every change of any; none is left out.",
        (OrderView,),
    ),
    ChannelKind.FILLS: (
        "fills",
        "Every new execution, as it is read. The snapshot is empty: GET /api/exchange/trades"
        " lists the earlier ones.",
        (TradeView,),
    ),
    ChannelKind.ACCOUNTS: ("accounts", "Every account and how fresh it is.", (AccountView,)),
    ChannelKind.REBALANCE: (
        "rebalance",
        "The newest rebalances, and each of their orders on its way.",
        (ProgressRow,),
    ),
}

_FROM_CLIENT = (messages.Authenticate, messages.Subscribe, messages.Unsubscribe)
_FROM_SERVER = (
    messages.Hello,
    messages.Heartbeat,
    messages.Snapshot,
    messages.Delta,
    messages.Resync,
    messages.Failure,
)


@cache
def describe() -> dict[str, Any]:
    """An AsyncAPI 3 document."""
    said = (*_FROM_CLIENT, *_FROM_SERVER)
    _, envelopes = msgspec.json.schema_components(said, ref_template=_REFERENCE)
    rows = {model for _, _, models in _CHANNELS.values() for model in models}
    _, of_rows = models_json_schema(
        [(model, "serialization") for model in sorted(rows, key=lambda model: model.__name__)],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "AlphaPulse live data", "version": "1", "description": _DESCRIPTION},
        "servers": {"this": {"host": "127.0.0.1:8000", "protocol": "ws", "pathname": "/"}},
        "channels": {
            "socket": {
                "address": "/api/ws",
                "messages": {
                    kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"}
                    for kind in said
                },
            }
        },
        "operations": {
            "ask": _operation("receive", _FROM_CLIENT),
            "tell": _operation("send", _FROM_SERVER),
        },
        "components": {
            "messages": {
                kind.__name__: {"payload": {"$ref": _REFERENCE.format(name=kind.__name__)}}
                for kind in said
            },
            "schemas": envelopes | of_rows["$defs"],
        },
        "x-channels": {
            name: f"{about} Rows: {_names(models)}. Scope: {SCOPES[kind]}."
            for kind, (name, about, models) in _CHANNELS.items()
        },
    }


def _operation(action: str, kinds: tuple[type[msgspec.Struct], ...]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/socket"},
        "messages": [{"$ref": f"#/channels/socket/messages/{kind.__name__}"} for kind in kinds],
    }


def _names(models: tuple[type[BaseModel], ...]) -> str:
    return " or ".join(model.__name__ for model in models)
