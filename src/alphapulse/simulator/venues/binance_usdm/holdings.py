"""Holdings: a futures account's balances and positions, as REST and the user stream tell them."""

from decimal import Decimal

from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.order import Side
from alphapulse.simulator.core import margin
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category, Instrument
from alphapulse.simulator.core.margin import MarginReport
from alphapulse.simulator.core.order import Order, OrderState
from alphapulse.simulator.core.position import Position, PositionSide
from alphapulse.simulator.venues.binance.market_rows import Row, eight, text
from alphapulse.simulator.venues.binance_usdm.rows import grid


class Holdings:
    """Reads one venue's accounts."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def assets(self, account: Account) -> list[str]:
        """What perpetuals settle in, and what else is in the wallet."""
        listed = [i.settle for category, i in self._linear() if i.settle is not None]
        return list(dict.fromkeys([*listed, *account.wallet_of(Category.LINEAR).assets]))

    def instruments(self) -> list[Instrument]:
        return [instrument for _, instrument in self._linear()]

    def _linear(self) -> list[tuple[Category, Instrument]]:
        return [
            (category, market.instrument)
            for (category, _), market in self._venue.markets.items()
            if category is Category.LINEAR
        ]

    def report(self, account: Account, asset: str) -> MarginReport:
        return self._venue.margin(account, asset)

    def updated_ms(self, account: Account, asset: str) -> int:
        """When the wallet's asset changed last; 0 when it never did."""
        return self._venue.ledger.touched_ms(account.id, Category.LINEAR, asset)

    def asset_row(self, account: Account, asset: str) -> Row:
        """One asset of ``/account``."""
        known = self.report(account, asset)
        initial = EXACT.add(known.position_initial, known.order_initial)
        return {
            "asset": asset,
            "walletBalance": text(known.wallet),
            "unrealizedProfit": text(known.unrealized_pnl),
            "marginBalance": text(known.equity),
            "maintMargin": eight(known.maintenance),
            "initialMargin": eight(initial),
            "positionInitialMargin": eight(known.position_initial),
            "openOrderInitialMargin": eight(known.order_initial),
            "crossWalletBalance": text(known.cross_wallet),
            "crossUnPnl": text(known.cross_unrealized_pnl),
            "availableBalance": eight(max(ZERO, known.available)),
            "maxWithdrawAmount": eight(_withdrawable(known)),
            "updateTime": self.updated_ms(account, asset),
        }

    def balance_row(self, account: Account, asset: str) -> Row:
        """One asset of ``/balance``."""
        known = self.report(account, asset)
        return {
            "accountAlias": f"sim{account.uid % 1000}",
            "asset": asset,
            "balance": text(known.wallet),
            "crossWalletBalance": text(known.cross_wallet),
            "crossUnPnl": text(known.cross_unrealized_pnl),
            "availableBalance": eight(max(ZERO, known.available)),
            "maxWithdrawAmount": eight(_withdrawable(known)),
            "marginAvailable": True,
            "updateTime": self.updated_ms(account, asset),
        }

    def totals(self, account: Account) -> Row:
        """Sums over the stable coins that perpetuals settle in."""
        reports = [self.report(account, asset) for asset in self.assets(account)]
        held, ordered = (
            total([r.position_initial for r in reports]),
            total([r.order_initial for r in reports]),
        )
        return {
            "totalInitialMargin": eight(EXACT.add(held, ordered)),
            "totalMaintMargin": eight(total([r.maintenance for r in reports])),
            "totalWalletBalance": text(total([r.wallet for r in reports])),
            "totalUnrealizedProfit": text(total([r.unrealized_pnl for r in reports])),
            "totalMarginBalance": text(total([r.equity for r in reports])),
            "totalPositionInitialMargin": eight(held),
            "totalOpenOrderInitialMargin": eight(ordered),
            "totalCrossWalletBalance": text(total([r.cross_wallet for r in reports])),
            "totalCrossUnPnl": text(total([r.cross_unrealized_pnl for r in reports])),
            "availableBalance": eight(total([max(ZERO, r.available) for r in reports])),
            "maxWithdrawAmount": eight(total([_withdrawable(r) for r in reports])),
        }

    def slots(self, account: Account, instrument: Instrument) -> list[PositionSide]:
        """The positions that an account has a row for: one, or one for each side."""
        if account.is_hedged:
            return [PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT]
        return [PositionSide.BOTH]

    def is_in_use(self, account: Account, instrument: Instrument, side: PositionSide) -> bool:
        """Whether there is a position, or an order that could open one."""
        if account.position(instrument.name, side) is not None:
            return True
        return any(
            o.instrument is instrument and o.position_side is side for o in _resting(account)
        )

    def risk_row(self, account: Account, instrument: Instrument, side: PositionSide) -> Row:
        """One row of ``/v3/positionRisk``."""
        position = account.position(instrument.name, side)
        mark = self._venue.mark_price(instrument)
        known = self._measures(account, instrument, side, position, mark)
        return {
            "symbol": instrument.name,
            "positionSide": side.upper(),
            "positionAmt": grid(position.quantity if position else instrument.quantity(0)),
            "entryPrice": _entry(position),
            "breakEvenPrice": break_even(account, position),
            "markPrice": text(mark),
            "unRealizedProfit": known["unrealizedProfit"],
            "liquidationPrice": self._liquidation(account, position),
            "isolatedMargin": known["isolatedMargin"],
            "notional": known["notional"],
            "marginAsset": instrument.settle,
            "isolatedWallet": known["isolatedWallet"],
            "initialMargin": known["initialMargin"],
            "maintMargin": known["maintMargin"],
            "positionInitialMargin": known["positionInitialMargin"],
            "openOrderInitialMargin": known["openOrderInitialMargin"],
            "adl": 1 if position else 0,
            "bidNotional": eight(_ordered(account, instrument, side, Side.BUY)),
            "askNotional": eight(_ordered(account, instrument, side, Side.SELL)),
            "updateTime": position.updated_ms if position else 0,
        }

    def risk_row_v2(self, account: Account, instrument: Instrument, side: PositionSide) -> Row:
        """One row of ``/v2/positionRisk``, which also tells leverage and margin mode."""
        row = self.risk_row(account, instrument, side)
        leverage = account.leverage_of(instrument.name)
        kept = {
            *("symbol", "positionAmt", "entryPrice", "breakEvenPrice", "markPrice"),
            *("unRealizedProfit", "liquidationPrice", "isolatedMargin", "notional"),
            *("isolatedWallet", "positionSide", "updateTime"),
        }
        return {
            **{name: value for name, value in row.items() if name in kept},
            "leverage": grid(leverage),
            "maxNotionalValue": grid(instrument.largest_notional(leverage)),
            "marginType": "isolated" if instrument.name in account.isolated else "cross",
            "isAutoAddMargin": "false",
        }

    def account_position(self, account: Account, instrument: Instrument, side: PositionSide) -> Row:
        """One position of ``/v3/account``."""
        position = account.position(instrument.name, side)
        mark = self._venue.mark_price(instrument)
        known = self._measures(account, instrument, side, position, mark)
        return {
            "symbol": instrument.name,
            "positionSide": side.upper(),
            "positionAmt": grid(position.quantity if position else instrument.quantity(0)),
            **known,
            "updateTime": position.updated_ms if position else 0,
        }

    def account_position_v2(
        self, account: Account, instrument: Instrument, side: PositionSide
    ) -> Row:
        """One position of ``/v2/account``."""
        row = self.account_position(account, instrument, side)
        leverage = account.leverage_of(instrument.name)
        kept = {
            *("symbol", "initialMargin", "maintMargin", "unrealizedProfit", "positionAmt"),
            *("positionInitialMargin", "openOrderInitialMargin", "positionSide", "updateTime"),
        }
        return {
            **{name: value for name, value in row.items() if name in kept},
            "leverage": grid(leverage),
            "isolated": instrument.name in account.isolated,
            "entryPrice": _entry(account.position(instrument.name, side)),
            "maxNotional": grid(instrument.largest_notional(leverage)),
            "bidNotional": eight(_ordered(account, instrument, side, Side.BUY)),
            "askNotional": eight(_ordered(account, instrument, side, Side.SELL)),
        }

    def _measures(
        self,
        account: Account,
        instrument: Instrument,
        side: PositionSide,
        position: Position | None,
        mark: Decimal,
    ) -> Row:
        """What both views of a position say of its margin."""
        leverage = account.leverage_of(instrument.name)
        held = position.initial_margin(leverage) if position else ZERO
        ordered = total(
            [
                margin.order_margin(account, order)
                for order in _resting(account)
                if order.instrument is instrument and order.position_side is side
            ]
        )
        profit = position.unrealized_pnl(mark) if position else ZERO
        isolated = position.isolated_margin if position else ZERO
        is_isolated = position is not None and position.isolated_atoms is not None
        return {
            "unrealizedProfit": text(profit),
            "isolatedMargin": text(EXACT.add(isolated, profit) if is_isolated else ZERO),
            "notional": text(EXACT.multiply(position.quantity, mark) if position else ZERO),
            "isolatedWallet": text(isolated),
            "initialMargin": eight(EXACT.add(held, ordered)),
            "maintMargin": eight(position.maintenance_margin(mark) if position else ZERO),
            "positionInitialMargin": eight(held),
            "openOrderInitialMargin": eight(ordered),
        }

    def _liquidation(self, account: Account, position: Position | None) -> str:
        """Zero where no price would do it, as the venue says it."""
        if position is None:
            return "0"
        price = margin.liquidation_price(account, position, self._venue.mark_price)
        return "0" if price is None else eight(price)


def _resting(account: Account) -> list[Order]:
    return [
        order
        for order in account.open_orders.values()
        if order.instrument.category is Category.LINEAR
        and order.state is not OrderState.UNTRIGGERED
    ]


def _ordered(account: Account, instrument: Instrument, side: PositionSide, of: Side) -> Decimal:
    """Worth of the orders that rest on one side of a market."""
    return total(
        [
            EXACT.multiply(order.limit_price, order.remaining_quantity)
            for order in _resting(account)
            if order.instrument is instrument and order.position_side is side and order.side is of
        ]
    )


def _entry(position: Position | None) -> str:
    return "0.0" if position is None else eight(position.entry_price)


def break_even(account: Account, position: Position | None) -> str:
    """The price at which closing would pay the fees of opening and closing, all as taker."""
    if position is None:
        return "0.0"
    rate, sign = account.fees[Category.LINEAR].taker, 1 if position.lots > 0 else -1
    paid = EXACT.multiply(position.entry_price, 1 + sign * rate)
    return eight(EXACT.divide(paid, 1 - sign * rate))


def _withdrawable(report: MarginReport) -> Decimal:
    """Profit that is not realized yet cannot leave."""
    return max(ZERO, min(report.available, report.cross_wallet))
