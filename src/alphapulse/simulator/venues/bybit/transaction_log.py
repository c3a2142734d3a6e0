"""Transaction log: a row for every movement of the unified wallet.

Source: https://bybit-exchange.github.io/docs/v5/account/transaction-log and /v5/enum, 2026-11. What
a transfer's row has for symbol, side and category is not documented.
"""

from alphapulse.domain.money import EXACT, plain
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.candles import DAY_MS
from alphapulse.simulator.core.events import FundingCharged
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.order import Fill
from alphapulse.simulator.venues.bybit import codes, ids
from alphapulse.simulator.venues.bybit.call import Caller, Private
from alphapulse.simulator.venues.bybit.codes import BybitError
from alphapulse.simulator.venues.bybit.movements import Logged, WalletMovement, logged_since
from alphapulse.simulator.venues.bybit.params import Params, page, window
from alphapulse.simulator.venues.bybit.rows import SIDES, Row

ROWS_PER_PAGE = 20
ROWS_PER_PAGE_MAX = 50


class LogRoutes:
    """``/v5/account/transaction-log``."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.routes: dict[str, Private] = {"/v5/account/transaction-log": self._log}

    def _log(self, params: Params, caller: Caller) -> Row:
        if params.optional("accountType") not in {None, "UNIFIED"}:
            raise BybitError(codes.PARAMS, "accountType only support UNIFIED.")
        start, end = window(params, self._venue.clock.now_ms(), default_ms=DAY_MS)
        found = [
            (logged.movement.key, logged)
            for logged in logged_since(self._venue, caller.account, start)
            if logged.movement.at_ms <= end and _is_wanted(logged.movement, params)
        ]
        limit = params.limit(ROWS_PER_PAGE, ROWS_PER_PAGE_MAX)
        chosen, cursor = page(found, params.optional("cursor"), limit)
        rows = [log_row(caller.account, logged) for logged in chosen]
        return {"list": rows, "nextPageCursor": cursor}


def log_row(account: Account, logged: Logged) -> Row:
    """One movement."""
    movement = logged.movement
    row: Row = {
        "transSubType": "",
        "id": f"{account.uid}_{movement.asset}_{ids.event_number(*_name(movement))}",
        "symbol": "",
        "side": "None",
        "funding": "",
        "orderLinkId": "",
        "orderId": "",
        "fee": plain(movement.fee),
        "change": plain(movement.change),
        "cashFlow": plain(movement.cash),
        "transactionTime": str(movement.at_ms),
        "type": movement.type,
        "feeRate": "0",
        "bonusChange": "",
        "size": plain(logged.size),
        "qty": plain(abs(movement.change)),
        "cashBalance": plain(logged.balance),
        "currency": movement.asset,
        "category": "",
        "tradePrice": "0",
        "tradeId": "",
        "extraFees": "",
    }
    if movement.instrument is not None:
        row["symbol"] = movement.instrument.name
        row["category"] = str(movement.instrument.category)
    return row | _told(movement)


def _told(movement: WalletMovement) -> Row:
    """What only rows of trades and of funding have."""
    match movement.cause:
        case Fill() as fill:
            category = fill.instrument.category
            return {
                "side": SIDES[fill.side],
                "orderId": ids.order_id_of(category, fill.order_id),
                "orderLinkId": ids.link_id(fill.client_order_id, fill.order_id),
                "feeRate": plain(fill.fee_rate),
                # Of spot it is this asset's, signed.
                "qty": plain(movement.cash if category is Category.SPOT else fill.quantity),
                "tradePrice": plain(fill.price),
                "tradeId": ids.execution_id(fill),
            }
        case FundingCharged() as charge:
            is_long = charge.signed_quantity > 0
            return {
                "side": "Buy" if is_long else "Sell",
                "funding": plain(charge.amount),
                "orderId": ids.event_id("funding", charge.instrument.name, charge.at_ms),
                "feeRate": plain(charge.rate if is_long else EXACT.minus(charge.rate)),
                "size": plain(charge.signed_quantity),
                "qty": plain(abs(charge.signed_quantity)),
                "tradePrice": plain(charge.mark_price),
                "tradeId": ids.charge_id(charge),
            }
        case _:
            return {}


def _is_wanted(movement: WalletMovement, params: Params) -> bool:
    instrument = movement.instrument
    facts = {
        "category": "" if instrument is None else str(instrument.category),
        "currency": movement.asset,
        "baseCoin": "" if instrument is None else instrument.base,
        "type": movement.type,
        "transSubType": "",
    }
    return all(params.optional(name) in {None, fact} for name, fact in facts.items())


def _name(movement: WalletMovement) -> tuple[object, ...]:
    """What stays the same of it for ever."""
    cause = movement.cause
    if isinstance(cause, Fill):
        return (cause.instrument.category, cause.instrument.name, cause.trade_id, cause.order_id)
    number = cause.trade_id if isinstance(cause, FundingCharged) else cause.id
    return (type(cause).__name__, number)
