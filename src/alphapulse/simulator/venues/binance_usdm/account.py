"""Account routes: balances, positions, and how an account wants to hold them."""

from decimal import Decimal

from alphapulse.domain.money import plain
from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.position import PositionSide
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.venues.binance.codes import BinanceError, missing
from alphapulse.simulator.venues.binance.limits import RateLimits
from alphapulse.simulator.venues.binance.market_rows import Row
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.routes import Caller, Private
from alphapulse.simulator.venues.binance_usdm import codes
from alphapulse.simulator.venues.binance_usdm.asks import POSITION_SIDES
from alphapulse.simulator.venues.binance_usdm.holdings import Holdings
from alphapulse.simulator.venues.binance_usdm.listing import brackets
from alphapulse.simulator.venues.binance_usdm.market import MarketRoutes

SUCCESS: Row = {"code": 200, "msg": "success"}

MARGIN_MODES = {"ISOLATED": True, "CROSSED": False}


class AccountRoutes:
    """Answers about one account, and changes of its modes."""

    def __init__(
        self, venue: Venue, markets: MarketRoutes, clock: AuthClock, limits: RateLimits
    ) -> None:
        self._venue = venue
        self._markets = markets
        self._clock = clock
        self._limits = limits
        self._holdings = Holdings(venue)

    @property
    def reads(self) -> dict[tuple[str, str], Private]:
        """By method and path."""
        return {
            ("GET", "/fapi/v3/account"): self._account,
            ("GET", "/fapi/v2/account"): self._account_v2,
            ("GET", "/fapi/v3/balance"): self._balance,
            ("GET", "/fapi/v2/balance"): self._balance,
            ("GET", "/fapi/v3/positionRisk"): self._risk,
            ("GET", "/fapi/v2/positionRisk"): self._risk_v2,
            ("GET", "/fapi/v1/accountConfig"): self._account_config,
            ("GET", "/fapi/v1/symbolConfig"): self._symbol_config,
            ("GET", "/fapi/v1/leverageBracket"): self._brackets,
            ("GET", "/fapi/v1/positionSide/dual"): self._position_mode,
            ("GET", "/fapi/v1/multiAssetsMargin"): self._assets_mode,
            ("GET", "/fapi/v1/commissionRate"): self._commission,
            ("GET", "/fapi/v1/rateLimit/order"): self._order_limits,
        }

    @property
    def writes(self) -> dict[tuple[str, str], Private]:
        """By method and path; they need a key that may trade."""
        return {
            ("POST", "/fapi/v1/leverage"): self._set_leverage,
            ("POST", "/fapi/v1/marginType"): self._set_margin_mode,
            ("POST", "/fapi/v1/positionSide/dual"): self._set_position_mode,
            ("POST", "/fapi/v1/positionMargin"): self._add_margin,
        }

    def _account(self, _: Params, caller: Caller) -> Row:
        account, holdings = caller.account, self._holdings
        return {
            **holdings.totals(account),
            "assets": [holdings.asset_row(account, a) for a in holdings.assets(account)],
            "positions": [
                holdings.account_position(account, instrument, side)
                for instrument in holdings.instruments()
                for side in holdings.slots(account, instrument)
                if holdings.is_in_use(account, instrument, side)
            ],
        }

    def _account_v2(self, _: Params, caller: Caller) -> Row:
        account, holdings = caller.account, self._holdings
        assets = [holdings.asset_row(account, a) for a in holdings.assets(account)]
        return {
            "feeTier": 0,
            "canTrade": account.can_trade,
            "canDeposit": True,
            "canWithdraw": True,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
            **holdings.totals(account),
            "assets": [{**row, "marginAvailable": True} for row in assets],
            "positions": [
                holdings.account_position_v2(account, instrument, side)
                for instrument in holdings.instruments()
                for side in holdings.slots(account, instrument)
            ],
        }

    def _balance(self, _: Params, caller: Caller) -> list[Row]:
        account = caller.account
        assets = self._holdings.assets(account)
        return [self._holdings.balance_row(account, asset) for asset in assets]

    def _risk(self, params: Params, caller: Caller) -> list[Row]:
        """Only what is held or ordered; the absence of a row means flat."""
        account, holdings = caller.account, self._holdings
        return [
            holdings.risk_row(account, market.instrument, side)
            for market in self._markets.named(params)
            for side in holdings.slots(account, market.instrument)
            if holdings.is_in_use(account, market.instrument, side)
        ]

    def _risk_v2(self, params: Params, caller: Caller) -> list[Row]:
        account, holdings = caller.account, self._holdings
        return [
            holdings.risk_row_v2(account, market.instrument, side)
            for market in self._markets.named(params)
            for side in holdings.slots(account, market.instrument)
        ]

    def _account_config(self, _: Params, caller: Caller) -> Row:
        return {
            "feeTier": 0,
            "canTrade": caller.account.can_trade,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": caller.account.is_hedged,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def _symbol_config(self, params: Params, caller: Caller) -> list[Row]:
        account = caller.account
        return [
            {
                "symbol": instrument.name,
                "marginType": "ISOLATED" if instrument.name in account.isolated else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": int(account.leverage_of(instrument.name)),
                "maxNotionalValue": plain(
                    instrument.largest_notional(account.leverage_of(instrument.name))
                ),
            }
            for instrument in (market.instrument for market in self._markets.named(params))
        ]

    def _brackets(self, params: Params, _: Caller) -> list[Row]:
        return [brackets(market.instrument) for market in self._markets.named(params)]

    def _position_mode(self, _: Params, caller: Caller) -> Row:
        return {"dualSidePosition": caller.account.is_hedged}

    def _assets_mode(self, _: Params, __: Caller) -> Row:
        return {"multiAssetsMargin": False}

    def _commission(self, params: Params, caller: Caller) -> Row:
        rates = caller.account.fees[Category.LINEAR]
        return {
            "symbol": self._markets.market(params.symbol()).instrument.name,
            "makerCommissionRate": plain(rates.maker),
            "takerCommissionRate": plain(rates.taker),
        }

    def _order_limits(self, _: Params, caller: Caller) -> list[Row]:
        counts = self._limits.order_counts(caller.account.id, self._clock.now_ms())
        windows = self._limits.quota.orders
        return [
            {**window.row, "count": count} for window, count in zip(windows, counts, strict=True)
        ]

    def _set_leverage(self, params: Params, caller: Caller) -> Row:
        instrument = self._markets.market(params.symbol()).instrument
        params.text("leverage")
        leverage = Decimal(params.integer("leverage") or 0)
        try:
            self._venue.terms.set_leverage(caller.account, instrument, leverage)
        except Refused as refused:
            if refused.reason is RefusalReason.LEVERAGE_INVALID:
                raise BinanceError(-4028, f"Leverage {leverage} is not valid") from None
            # The venue is content when nothing changes.
            if refused.reason is not RefusalReason.LEVERAGE_UNCHANGED:
                raise codes.leverage_refusal(refused) from None
        return {
            "symbol": instrument.name,
            "leverage": int(leverage),
            "maxNotionalValue": plain(instrument.largest_notional(leverage)),
        }

    def _set_margin_mode(self, params: Params, caller: Caller) -> Row:
        instrument = self._markets.market(params.symbol()).instrument
        is_isolated = MARGIN_MODES.get(params.text("marginType"))
        if is_isolated is None:
            raise BinanceError(-4052, "Invalid margin type.")
        try:
            self._venue.terms.set_isolated(caller.account, instrument, is_isolated=is_isolated)
        except Refused as refused:
            raise codes.margin_mode_refusal(refused) from None
        return SUCCESS

    def _set_position_mode(self, params: Params, caller: Caller) -> Row:
        wanted = params.text("dualSidePosition").lower()
        if wanted not in {"true", "false"}:
            raise missing("dualSidePosition")
        try:
            self._venue.terms.set_hedged(caller.account, is_hedged=wanted == "true")
        except Refused as refused:
            raise codes.position_mode_refusal(refused) from None
        return SUCCESS

    def _add_margin(self, params: Params, caller: Caller) -> Row:
        instrument = self._markets.market(params.symbol()).instrument
        side = POSITION_SIDES.get(params.optional("positionSide") or "BOTH", PositionSide.BOTH)
        kind, amount = params.integer("type"), params.decimal("amount")
        if kind not in {1, 2} or amount is None:
            raise missing("type" if amount is not None else "amount")
        position = caller.account.position(instrument.name, side)
        if position is None:
            raise BinanceError(-4054, "Cannot add position margin: position is 0.")
        try:
            self._venue.terms.add_margin(caller.account, position, amount if kind == 1 else -amount)
        except Refused as refused:
            raise codes.refusal(refused) from None
        return {
            "amount": plain(amount),
            "code": 200,
            "msg": "Successfully modify position margin.",
            "type": kind,
        }
