"""Account routes: balances, commissions, what a key may do, and what the venue says of coins."""

from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.venues.binance.codes import BinanceError, missing
from alphapulse.simulator.venues.binance.limits import RateLimits
from alphapulse.simulator.venues.binance.market_rows import ZERO, Row, text
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.routes import Caller, Private
from alphapulse.simulator.venues.binance.transfers import INTO, transfer_id
from alphapulse.simulator.venues.binance_spot.market import MarketRoutes

LEGAL_MONEY = frozenset({"EUR", "USD", "GBP"})


class AccountRoutes:
    """Answers about one account, and the sapi routes that clients ask before trading."""

    def __init__(
        self, venue: Venue, markets: MarketRoutes, clock: AuthClock, limits: RateLimits
    ) -> None:
        self._venue = venue
        self._markets = markets
        self._clock = clock
        self._limits = limits

    @property
    def reads(self) -> dict[tuple[str, str], Private]:
        """By method and path."""
        return {
            ("GET", "/api/v3/account"): self._account,
            ("GET", "/api/v3/account/commission"): self._commission,
            ("GET", "/api/v3/rateLimit/order"): self._order_limits,
            ("GET", "/sapi/v1/account/apiRestrictions"): self._restrictions,
            ("GET", "/sapi/v1/asset/tradeFee"): self._trade_fees,
            ("GET", "/sapi/v1/capital/config/getall"): self._coins,
            ("GET", "/sapi/v1/margin/allPairs"): self._nothing,
            ("GET", "/sapi/v1/margin/isolated/allPairs"): self._nothing,
        }

    @property
    def writes(self) -> dict[tuple[str, str], Private]:
        """By method and path; they need a key that may trade."""
        return {("POST", "/sapi/v1/asset/transfer"): self._transfer}

    def _account(self, params: Params, caller: Caller) -> Row:
        account = caller.account
        rates = account.fees[Category.SPOT]
        is_short = params.optional("omitZeroBalances") == "true"
        wallet = account.wallet
        return {
            "makerCommission": int(rates.maker * 10_000),
            "takerCommission": int(rates.taker * 10_000),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": text(rates.maker),
                "taker": text(rates.taker),
                "buyer": ZERO,
                "seller": ZERO,
            },
            "canTrade": account.can_trade,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self._venue.clock.now_ms(),
            "accountType": "SPOT",
            "balances": [
                {
                    "asset": asset,
                    "free": text(wallet.free(asset)),
                    "locked": text(wallet.locked(asset)),
                }
                for asset in self._assets(caller)
                if wallet[asset].total or not is_short
            ],
            "permissions": ["SPOT"],
            "uid": account.uid,
        }

    def _commission(self, params: Params, caller: Caller) -> Row:
        market = self._markets.market(params.symbol())
        rates = caller.account.fees[Category.SPOT]
        nothing = {
            "maker": ZERO,
            "taker": ZERO,
            "buyer": ZERO,
            "seller": ZERO,
        }
        return {
            "symbol": market.instrument.name,
            "standardCommission": {
                **nothing,
                "maker": text(rates.maker),
                "taker": text(rates.taker),
            },
            "specialCommission": nothing,
            "taxCommission": nothing,
            "discount": {
                "enabledForAccount": caller.account.fee_asset is not None,
                "enabledForSymbol": True,
                "discountAsset": "BNB",
                "discount": "0.25000000",
            },
        }

    def _order_limits(self, _: Params, caller: Caller) -> list[Row]:
        counts = self._limits.order_counts(caller.account.id, self._clock.now_ms())
        windows = self._limits.quota.orders
        return [
            {**window.row, "count": count} for window, count in zip(windows, counts, strict=True)
        ]

    def _restrictions(self, _: Params, caller: Caller) -> Row:
        key = caller.key
        return {
            "ipRestrict": key.is_ip_restricted,
            "createTime": key.created_ms,
            "enableReading": key.can_read,
            "enableSpotAndMarginTrading": key.can_trade,
            "enableWithdrawals": key.can_withdraw,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": key.can_trade,
            "permitsUniversalTransfer": key.can_trade,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enablePortfolioMarginTrading": False,
        }

    def _transfer(self, params: Params, caller: Caller) -> Row:
        """Between the spot and the futures wallet."""
        into = INTO.get(params.text("type"))
        if into is None:
            raise BinanceError(-9000, "Transfer type is not supported.")
        asset, amount = params.text("asset"), params.decimal("amount")
        if not amount:
            raise missing("amount")
        try:
            reference = self._venue.treasury.transfer(caller.account, asset, amount, into)
        except Refused:
            raise BinanceError(-5013, "Asset transfer failed: insufficient balance") from None
        return {"tranId": transfer_id(reference)}

    def _trade_fees(self, params: Params, caller: Caller) -> list[Row]:
        rates = caller.account.fees[Category.SPOT]
        named = params.symbols()
        markets = self._markets.all_markets()
        return [
            {
                "symbol": market.instrument.name,
                "makerCommission": str(rates.maker),
                "takerCommission": str(rates.taker),
            }
            for market in markets
            if named is None or market.instrument.name in named
        ]

    def _coins(self, _: Params, caller: Caller) -> list[Row]:
        return [self._coin(asset, caller) for asset in self._assets(caller)]

    def _coin(self, asset: str, caller: Caller) -> Row:
        wallet = caller.account.wallet
        return {
            "coin": asset,
            "depositAllEnable": True,
            "withdrawAllEnable": True,
            "name": asset,
            "free": text(wallet.free(asset)),
            "locked": text(wallet.locked(asset)),
            "freeze": "0",
            "withdrawing": "0",
            "ipoing": "0",
            "ipoable": "0",
            "storage": "0",
            "isLegalMoney": asset in LEGAL_MONEY,
            "trading": asset not in LEGAL_MONEY,
            "networkList": [] if asset in LEGAL_MONEY else [_network(asset)],
        }

    def _nothing(self, _: Params, __: Caller) -> list[Row]:
        """Margin is not simulated: no pairs."""
        return []

    def _assets(self, caller: Caller) -> list[str]:
        """Everything listed or held, in the order of listing."""
        instruments = [market.instrument for market in self._markets.all_markets()]
        listed = [asset for i in instruments for asset in (i.base, i.quote)]
        return list(dict.fromkeys([*listed, *caller.account.wallet.assets]))


def _network(asset: str) -> Row:
    return {
        "network": asset,
        "coin": asset,
        "withdrawIntegerMultiple": "0.00000001",
        "isDefault": True,
        "depositEnable": True,
        "withdrawEnable": True,
        "depositDesc": "",
        "withdrawDesc": "",
        "specialTips": "",
        "name": asset,
        "resetAddressStatus": False,
        "addressRegex": "",
        "memoRegex": "",
        "withdrawFee": "0.0001",
        "withdrawMin": "0.001",
        "withdrawMax": "1000000",
        "depositDust": "0.00001",
        "minConfirm": 1,
        "unLockConfirm": 2,
        "sameAddress": False,
        "estimatedArrivalTime": 1,
        "busy": False,
    }
