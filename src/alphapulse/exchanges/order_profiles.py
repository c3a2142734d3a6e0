"""Order profiles: what sending orders to each venue must know, as data, each with its source.

By CCXT's class and market type. An exchange that is not here is not traded on: without the form
of its client ids an order whose answer is lost could never be found again.

Our names are 28 letters and digits (`domain.intent.client_order_id`).
"""

from collections.abc import Mapping
from dataclasses import replace

from alphapulse.domain.order import OrderType
from alphapulse.exchanges.port import IdUniqueness, OrderProfile

_ALL_TYPES = frozenset(OrderType) - {OrderType.OTHER}

# https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints, 2026-11:
# newClientOrderId is "a unique id among open orders", ^[a-zA-Z0-9-_]{1,36}$; orders with the same
# one are accepted when the previous one is filled. recvWindow is checked again by the matching
# engine, so nothing arrives later. Spot amends keep their place but only make a quantity smaller,
# so a price is changed by cancel and new order. "Data source: memory => database": queries may lag.
_BINANCE_SPOT = OrderProfile(
    id_uniqueness=IdUniqueness.OPEN,
    receive_window_s=5.0,
    late_arrival_s=5.0,
    visibility_lag_s=5.0,
    types=_ALL_TYPES,
    has_quote_quantity=True,
)

# https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api, 2026-11:
# New-Order (newClientOrderId unique among open orders, GTD with goodTillDate), Modify-Order (limit
# orders keep their id), New-Algo-Order (stops and trailing stops: clientAlgoId). Exits are orders
# of their own there.
_BINANCE_USDM = OrderProfile(
    id_uniqueness=IdUniqueness.OPEN,
    receive_window_s=5.0,
    late_arrival_s=5.0,
    visibility_lag_s=5.0,
    amends_in_place=True,
    types=_ALL_TYPES,
    has_gtd=True,
)

# https://bybit-exchange.github.io/docs/v5/order/create-order, 2026-11: orderLinkId is always
# unique, at most 36 of letters, digits, dashes and underscores; the receive window is 5 s by
# default. A trailing stop belongs to a position there (trading-stop) and has no name: none of ours.
# /v5/order/realtime shows an order "in a short moment" after the acknowledgement, which is
# asynchronous.
_BYBIT_SPOT = OrderProfile(
    id_uniqueness=IdUniqueness.FOREVER,
    receive_window_s=5.0,
    late_arrival_s=5.0,
    visibility_lag_s=5.0,
    amends_in_place=True,
    types=_ALL_TYPES - {OrderType.TRAILING_STOP},
    has_quote_quantity=True,
    has_attached_exits=True,
)

# Through CCXT's unified methods: limit orders, and market orders where CCXT takes them by quantity.
# Nothing is known of receive windows, so a request may arrive late; what is said of uniqueness
# differs from page to page (``reliability.md`` 1.4), so nothing is relied on.
_UNIFIED = OrderProfile(
    id_uniqueness=IdUniqueness.NONE, types=frozenset({OrderType.LIMIT}), late_arrival_s=60.0
)
_UNIFIED_AND_MARKET = replace(_UNIFIED, types=frozenset({OrderType.LIMIT, OrderType.MARKET}))

ORDER_PROFILES: Mapping[tuple[str, str], OrderProfile] = {
    ("binance", "spot"): _BINANCE_SPOT,
    ("binanceusdm", "swap"): _BINANCE_USDM,
    ("bybit", "spot"): _BYBIT_SPOT,
    ("bybit", "swap"): replace(_BYBIT_SPOT, has_quote_quantity=False),
    # clOrdId: at most 32 letters and digits. https://www.okx.com/docs-v5/en/, 2026-11
    ("okx", "spot"): _UNIFIED,
    # clientOid: at most 40. https://www.kucoin.com/docs-new/rest/spot-trading/orders/add-order
    ("kucoin", "spot"): _UNIFIED_AND_MARKET,
    # text: "t-" and at most 28. https://www.gate.com/docs/developers/apiv4/en/#create-an-order
    ("gate", "spot"): replace(_UNIFIED, client_id_form="t-{}"),
    # clientOid: at most 50. https://www.bitget.com/api-doc/spot/trade/Place-Order
    ("bitget", "spot"): _UNIFIED,
    # newClientOrderId: at most 32. https://www.mexc.com/api-docs/spot-v3/spot-account-trade
    ("mexc", "spot"): _UNIFIED,
    # client-order-id: at most 64; found for 2 h. https://www.htx.com/en-us/opend/newApiPages/
    ("htx", "spot"): _UNIFIED,
}


NO_ORDERS = OrderProfile(types=frozenset())
"""Of an exchange that is not traded on."""


def common(profiles: list[OrderProfile]) -> OrderProfile:
    """What holds in all of them, the slowest of their times."""
    if not profiles:
        return NO_ORDERS
    first = profiles[0]
    windows = [one.receive_window_s for one in profiles]
    return replace(
        first,
        receive_window_s=None if None in windows else max(one or 0.0 for one in windows),
        late_arrival_s=max(one.late_arrival_s for one in profiles),
        visibility_lag_s=max(one.visibility_lag_s for one in profiles),
        amends_in_place=all(one.amends_in_place for one in profiles),
        types=frozenset.intersection(*(one.types for one in profiles)),
        has_quote_quantity=all(one.has_quote_quantity for one in profiles),
        has_attached_exits=all(one.has_attached_exits for one in profiles),
        has_gtd=all(one.has_gtd for one in profiles),
    )
