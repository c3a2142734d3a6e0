"""Permissions: whether this account may trade in this market, and whether anybody may now."""

from alphapulse.domain.account import AccountState
from alphapulse.domain.order import OrderRequest
from alphapulse.domain.order_checks.check import Check, in_words, over
from alphapulse.domain.order_checks.situation import OrderSituation
from alphapulse.domain.trading import TradingMode
from alphapulse.errors import (
    Conflict,
    InstrumentUnavailable,
    InvalidInput,
    KeyReadOnly,
    TradingHalted,
)


def check_account(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    """It is active, of the kind that was asked for, and its key may trade."""
    account = situation.account
    state, may_trade = account.state, account.permissions.trade
    inactive = wrong_money = read_only = None
    if state is not AccountState.ACTIVE:
        inactive = Conflict(f"the account is {state}", check="account_active", state=state.value)
    if situation.is_paper and not account.is_simulated:
        wrong_money = InvalidInput(
            "paper is asked for, and this account is real", field="paper", check="paper"
        )
    if may_trade is False:
        read_only = KeyReadOnly("the key of this account may not trade", check="key_may_trade")
    return [
        Check("account_active", AccountState.ACTIVE, state, inactive),
        Check("paper", value="simulated" if account.is_simulated else "real", failure=wrong_money),
        Check("key_may_trade", "trade", _said(may_trade), read_only),
    ]


def check_mode(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    """The kill switch lets it pass."""
    mode, failure = situation.mode, None
    if not mode.allows(request):
        detail = {
            TradingMode.HALTED: "trading is halted",
            TradingMode.REDUCING: "only orders that make a position smaller may be sent",
        }
        failure = TradingHalted(detail.get(mode, str(mode)), check="trading_mode", limit=mode)
    return [Check("trading_mode", TradingMode.ACTIVE, mode, failure)]


def check_market(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    """It is traded at present, and on every list of allowed markets."""
    is_active = situation.instrument.is_active
    closed = None
    if not is_active:
        closed = InstrumentUnavailable(
            f"{request.symbol} is not traded at present", check="market_active"
        )
    checks = [Check("market_active", "active", "active" if is_active else "halted", closed)]
    for allowance in situation.allowances:
        symbols = allowance.limits.symbols
        if symbols is None:
            continue
        limit, failure = ", ".join(sorted(symbols)), None
        if request.symbol not in symbols:
            whose = in_words(allowance.subject)
            detail = f"{request.symbol} is not on the list of markets of {whose}: {limit}"
            failure = over("market_allowed", detail, limit, request.symbol)
        checks.append(Check("market_allowed", limit, request.symbol, failure))
    return checks


def _said(may: bool | None) -> str:
    return {True: "trade", False: "read only", None: "unknown"}[may]
