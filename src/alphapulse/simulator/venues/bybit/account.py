"""What a Bybit key may read about its account, and the leverage it may set."""

from datetime import UTC, datetime

from alphapulse.domain.money import EXACT, plain
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.events import FundingCharged
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category, Instrument
from alphapulse.simulator.core.order import Fill
from alphapulse.simulator.venues.bybit import codes
from alphapulse.simulator.venues.bybit.call import Caller, Private
from alphapulse.simulator.venues.bybit.codes import BybitError
from alphapulse.simulator.venues.bybit.holdings import position_row, wallet_row
from alphapulse.simulator.venues.bybit.ids import charge_id, event_id, order_id_of
from alphapulse.simulator.venues.bybit.market import MarketRoutes
from alphapulse.simulator.venues.bybit.params import Keyed, Params, page, window
from alphapulse.simulator.venues.bybit.rows import EXECUTED_BY, Row, execution_row


class AccountRoutes:
    """Everything signed that places no order."""

    def __init__(self, venue: Venue, market: MarketRoutes) -> None:
        self._venue = venue
        self._market = market
        self.routes: dict[str, Private] = {
            "/v5/account/info": self._info,
            "/v5/account/wallet-balance": self._wallet,
            "/v5/account/fee-rate": self._fees,
            "/v5/user/query-api": self._key,
            "/v5/asset/coin/query-info": self._coins,
            "/v5/position/list": self._positions,
            "/v5/execution/list": self._executions,
        }

    def _info(self, params: Params, caller: Caller) -> Row:
        return {
            "marginMode": "ISOLATED_MARGIN" if caller.account.isolated else "REGULAR_MARGIN",
            "updatedTime": str(caller.key.created_ms),
            "unifiedMarginStatus": 6,
            "dcpStatus": "OFF",
            "timeWindow": 10,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }

    def _wallet(self, params: Params, caller: Caller) -> Row:
        if params.text("accountType") != "UNIFIED":
            raise BybitError(codes.PARAMS, "accountType only support UNIFIED.")
        wanted = params.optional("coin")
        coins = None if wanted is None else tuple(wanted.split(","))
        return {"list": [wallet_row(self._venue, caller.account, coins)]}

    def _fees(self, params: Params, caller: Caller) -> Row:
        category = params.category()
        if category is None:
            return {"list": []}
        rates = caller.account.fees[category]
        name = params.optional("symbol")
        chosen = (
            self._market.listed(category) if name is None else [self._market.market(category, name)]
        )
        return {
            "list": [
                {
                    "symbol": market.instrument.name,
                    "takerFeeRate": plain(rates.taker),
                    "makerFeeRate": plain(rates.maker),
                    "baseCoin": "",
                }
                for market in chosen
            ]
        }

    def _key(self, params: Params, caller: Caller) -> Row:
        key, account = caller.key, caller.account
        created = datetime.fromtimestamp(key.created_ms // 1000, UTC)
        wallet = ["AccountTransfer", "SubMemberTransfer", *(["Withdraw"] * key.can_withdraw)]
        return {
            "id": str(account.uid),
            "note": key.label,
            "apiKey": key.key,
            "readOnly": 0 if key.can_trade else 1,
            "secret": "",
            "permissions": {
                "ContractTrade": ["Order", "Position"],
                "Spot": ["SpotTrade"],
                "Wallet": wallet,
                "Options": [],
                "Derivatives": ["DerivativesTrade"],
                "CopyTrading": [],
                "BlockTrade": [],
                "Exchange": ["ExchangeHistory"],
                "NFT": [],
                "Affiliate": [],
                "Earn": [],
                "FiatP2P": [],
                "FiatBybitPay": [],
                "FiatConvertBroker": [],
                "FiatGlobalPay": [],
                "FiatBitPay": [],
                "BitCard": [],
                "ByXPost": [],
            },
            "ips": ["127.0.0.1"] if key.is_ip_restricted else ["*"],
            "type": 1,
            "deadlineDay": 90,
            "expiredAt": "1970-01-01T00:00:00Z",
            "createdAt": created.isoformat().replace("+00:00", "Z"),
            "unified": 0,
            "uta": 1,
            "userID": account.uid,
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_1",
            "kycRegion": "",
            "userIDInt64": str(account.uid),
            "inviterIDInt64": "0",
            "affiliateIDInt64": "0",
        }

    def _coins(self, params: Params, caller: Caller) -> Row:
        wanted = params.optional("coin")
        names = _assets(self._venue) if wanted is None else [wanted]
        return {"rows": [_coin(name) for name in names]}

    def _positions(self, params: Params, caller: Caller) -> Row:
        category = params.category()
        rows: list[Row] = []
        if category is Category.SPOT:
            raise BybitError(codes.PARAMS, "params error: Category is invalid")
        if category is Category.LINEAR:
            chosen = self._chosen(params, caller)
            rows = [position_row(self._venue, caller.account, one) for one in chosen]
        return {"category": params.text("category"), "list": rows, "nextPageCursor": ""}

    def _chosen(self, params: Params, caller: Caller) -> list[Instrument]:
        name, settle = params.optional("symbol"), params.optional("settleCoin")
        if name is not None:
            return [self._market.market(Category.LINEAR, name).instrument]
        if settle is None:
            raise BybitError(codes.PARAMS, "params error: symbol or settleCoin is required")
        open_ones = [position.instrument for position in caller.account.positions.values()]
        return [one for one in open_ones if one.settle == settle]

    def _executions(self, params: Params, caller: Caller) -> Row:
        category = params.category()
        start, end = window(params, self._venue.clock.now_ms())
        kind = params.optional("execType")
        found: list[Keyed[Fill | FundingCharged]] = []
        if category is not None:
            found += _fills(params, self._venue.sight.fills(caller.account), category)
        if category is Category.LINEAR and kind in {None, "Funding"}:
            found += self._charges(params, caller)
        inside = [keyed for keyed in found if start <= keyed[0][0] <= end]
        chosen, cursor = page(inside, params.optional("cursor"), params.limit(50, 100))
        return {
            "category": params.text("category"),
            "list": [self._execution(one, caller.account) for one in chosen],
            "nextPageCursor": cursor,
        }

    def _execution(self, one: Fill | FundingCharged, account: Account) -> Row:
        if isinstance(one, FundingCharged):
            return funding_row(one)
        order = account.orders_by_id.get(one.order_id)
        return execution_row(one, order, self._venue.mark_price(one.instrument))

    def _charges(self, params: Params, caller: Caller) -> list[Keyed[Fill | FundingCharged]]:
        if params.optional("orderId") or params.optional("orderLinkId"):
            return []
        name = params.optional("symbol")
        return [
            ((charge.at_ms, charge.trade_id), charge)
            for charge in self._venue.funding_charges(caller.account)
            if name in {None, charge.instrument.name}
        ]


def _fills(
    params: Params, fills: list[Fill], category: Category
) -> list[Keyed[Fill | FundingCharged]]:
    return [
        ((fill.at_ms, number), fill)
        for number, fill in enumerate(fills)
        if fill.instrument.category is category and _is_wanted(fill, params)
    ]


def _is_wanted(fill: Fill, params: Params) -> bool:
    name, link = params.optional("symbol"), params.optional("orderLinkId")
    if params.optional("execType") not in {None, EXECUTED_BY[fill.origin]}:
        return False
    if name is not None and fill.instrument.name != name:
        return False
    if link is not None and fill.client_order_id != link:
        return False
    wanted = params.optional("orderId")
    return wanted is None or wanted == order_id_of(fill.instrument.category, fill.order_id)


def _assets(venue: Venue) -> list[str]:
    """Everything that is traded or held here, markets or not."""
    traded = {a for m in venue.markets.values() for a in (m.instrument.base, m.instrument.quote)}
    held = {asset for account in venue.accounts.values() for asset in account.wallet.assets}
    return sorted(traded | held)


def _coin(name: str) -> Row:
    return {
        "name": name,
        "coin": name,
        "remainAmount": "10000000",
        "chains": [
            {
                "chainType": name,
                "chain": name,
                "confirmation": "6",
                "withdrawFee": "0",
                "depositMin": "0",
                "withdrawMin": "0",
                "chainDeposit": "1",
                "chainWithdraw": "1",
                "minAccuracy": "8",
                "withdrawPercentageFee": "0",
                "contractAddress": "",
                "safeConfirmNumber": "6",
            }
        ],
    }


def funding_row(charge: FundingCharged) -> Row:
    """A funding charge is an execution, too; its fee is what was paid."""
    instrument = charge.instrument
    size = abs(charge.signed_quantity)
    return {
        "symbol": instrument.name,
        "orderId": event_id("funding", instrument.name, charge.at_ms),
        "orderLinkId": "",
        "side": "Buy" if charge.signed_quantity > 0 else "Sell",
        "orderPrice": "0",
        "orderQty": "0",
        "leavesQty": "0",
        "createType": "",
        "orderType": "UNKNOWN",
        "stopOrderType": "UNKNOWN",
        "execFee": plain(-charge.amount),
        "execId": charge_id(charge),
        "execPrice": plain(charge.mark_price),
        "execQty": plain(size),
        "execType": "Funding",
        "execValue": plain(EXACT.multiply(size, charge.mark_price)),
        "execTime": str(charge.at_ms),
        "feeCurrency": instrument.settle,
        "isMaker": False,
        "feeRate": plain(charge.rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": plain(charge.mark_price),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "0",
        "seq": charge.trade_id,
    }
