"""Wallet and positions of a unified account, as REST and the private stream tell them."""

from decimal import Decimal

from alphapulse.domain.money import EXACT, plain, total
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.margin import MarginReport
from alphapulse.simulator.core.position import Position
from alphapulse.simulator.venues.bybit.conditional import standing_stops
from alphapulse.simulator.venues.bybit.rows import Row

ZERO = Decimal(0)

# The venue tells dollars with eight decimals.
CENT_FRACTION = Decimal("0.00000001")


def _settles(account: Account, asset: str) -> bool:
    return any(p.instrument.settle == asset for p in account.positions.values()) or any(
        o.instrument.settle == asset for o in account.open_orders.values()
    )


def _report(venue: Venue, account: Account, asset: str) -> MarginReport:
    """Margin in one asset; for most assets there is none."""
    if _settles(account, asset):
        return venue.margin(account, asset)
    wallet = account.wallet
    return MarginReport(asset, wallet.total(asset), ZERO, ZERO, ZERO, ZERO, wallet.free(asset))


def _usd(venue: Venue, asset: str, amount: Decimal) -> Decimal:
    """Zero for an asset that no market prices."""
    price = venue.usd_price(asset)
    return EXACT.multiply(amount, price) if price is not None else ZERO


def _money(amount: Decimal) -> str:
    return plain(amount.quantize(CENT_FRACTION, context=EXACT))


def wallet_row(venue: Venue, account: Account, coins: tuple[str, ...] | None = None) -> Row:
    """The account's totals in US dollars and its coins.

    Args:
        coins: name these even when there are none of them; ``None``: all that is not zero.
    """
    held = [asset for asset in account.wallet.assets if account.wallet[asset].total]
    reports = [_report(venue, account, asset) for asset in held]
    equity = total([_usd(venue, r.asset, r.equity) for r in reports])
    wallet = total([_usd(venue, r.asset, r.wallet) for r in reports])
    pnl = total([_usd(venue, r.asset, r.unrealized_pnl) for r in reports])
    initial = total([_usd(venue, r.asset, _tied(r)) for r in reports])
    locked = total([_usd(venue, a, account.wallet.locked(a)) for a in held])
    maintenance = total([_usd(venue, r.asset, r.maintenance) for r in reports])
    available = EXACT.subtract(EXACT.subtract(equity, initial), locked)
    named = held if coins is None else coins
    return {
        "accountType": "UNIFIED",
        "accountIMRate": _rate(initial, equity),
        "accountMMRate": _rate(maintenance, equity),
        "accountLTV": "0",
        "totalEquity": _money(equity),
        "totalWalletBalance": _money(wallet),
        "totalMarginBalance": _money(equity),
        "totalAvailableBalance": _money(max(ZERO, available)),
        "totalPerpUPL": _money(pnl),
        "totalInitialMargin": _money(initial),
        "totalMaintenanceMargin": _money(maintenance),
        "coin": [coin_row(venue, account, asset) for asset in named],
    }


def _tied(report: MarginReport) -> Decimal:
    return EXACT.add(report.position_initial, report.order_initial)


def _rate(part: Decimal, whole: Decimal) -> str:
    return _money(EXACT.divide(part, whole)) if whole > 0 else "0"


def coin_row(venue: Venue, account: Account, asset: str) -> Row:
    """One coin. ``availableToWithdraw`` is empty, as on every unified account since 2025."""
    report = _report(venue, account, asset)
    return {
        "coin": asset,
        "equity": plain(report.equity),
        "usdValue": _money(_usd(venue, asset, report.equity)),
        "walletBalance": plain(report.wallet),
        "locked": plain(account.wallet.locked(asset)),
        "spotHedgingQty": "0",
        "borrowAmount": "0",
        "spotBorrow": "0",
        "accruedInterest": "0",
        "totalOrderIM": plain(report.order_initial),
        "totalPositionIM": plain(report.position_initial),
        "totalPositionMM": plain(report.maintenance),
        "unrealisedPnl": plain(report.unrealized_pnl),
        "cumRealisedPnl": "0",
        "bonus": "0",
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "collateralSwitch": True,
        "marginCollateral": True,
    }


def position_row(venue: Venue, account: Account, instrument: Instrument) -> Row:
    """One contract's position; size 0 and no side when flat."""
    position = account.positions.get(instrument.name)
    leverage = account.leverage_of(instrument.name)
    mark = venue.mark_price(instrument)
    row: Row = {
        "positionIdx": 0,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": instrument.name,
        "tradeMode": int(instrument.name in account.isolated),
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 2 if position else 0,
        "leverage": plain(leverage),
        "positionBalance": "0",
        "markPrice": plain(mark),
        "bustPrice": "",
        "tpslMode": "Full",
        **_stops(account, instrument),
        "cumRealisedPnl": "0",
        "seq": venue.clock.now_ms(),
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "sessionAvgPrice": "",
    }
    return row | (_flat() if position is None else _open(venue, account, position, leverage, mark))


def _stops(account: Account, instrument: Instrument) -> Row:
    """What protects the whole position."""
    standing = standing_stops(account, instrument)
    prices = {kind: plain(order.stop_price) for kind, order in standing.items()}
    trail = standing["TrailingStop"].trigger if "TrailingStop" in standing else None
    distance = trail.trail.distance if trail is not None and trail.trail is not None else ZERO
    return {
        "takeProfit": prices.get("TakeProfit", ""),
        "stopLoss": prices.get("StopLoss", ""),
        "trailingStop": plain(distance),
    }


def _flat() -> Row:
    zeros = (
        "size",
        "avgPrice",
        "positionValue",
        "positionIM",
        "positionMM",
        "positionIMByMp",
        "positionMMByMp",
        "unrealisedPnl",
        "curRealisedPnl",
    )
    row: Row = {"side": "", "liqPrice": "", "createdTime": "0", "updatedTime": "0"}
    return row | dict.fromkeys(zeros, "0")


def _open(
    venue: Venue, account: Account, position: Position, leverage: Decimal, mark: Decimal
) -> Row:
    instrument = position.instrument
    collateral = account.wallet.total(instrument.settle or instrument.quote)
    liquidation = position.liquidation_price(collateral)
    initial = position.initial_margin(leverage)
    maintenance = position.maintenance_margin(mark)
    return {
        "side": "Buy" if position.lots > 0 else "Sell",
        "size": plain(abs(position.quantity)),
        "avgPrice": _money(position.entry_price),
        "positionValue": plain(position.entry_notional),
        "positionIM": plain(initial),
        "positionMM": plain(maintenance),
        "positionIMByMp": _money(EXACT.divide(position.notional_at(mark), leverage)),
        "positionMMByMp": plain(maintenance),
        "unrealisedPnl": plain(position.unrealized_pnl(mark)),
        "curRealisedPnl": plain(position.realized_pnl),
        "liqPrice": "" if liquidation is None else _grid(liquidation, instrument),
        "createdTime": str(position.opened_ms),
        "updatedTime": str(position.updated_ms),
    }


def _grid(price: Decimal, instrument: Instrument) -> str:
    return plain(instrument.price(instrument.ticks(price)))


def stream_position_row(venue: Venue, account: Account, instrument: Instrument) -> Row:
    """As the private stream tells it: the average is called entry price there."""
    row = position_row(venue, account, instrument) | {"category": "linear"}
    row["entryPrice"] = row.pop("avgPrice")
    return row


def stream_wallet_row(venue: Venue, account: Account, coins: tuple[str, ...]) -> Row:
    """As the private stream tells it: changed coins, and one total is spelled otherwise."""
    row = wallet_row(venue, account, coins)
    row["totalPerpUpl"] = row["totalPerpUPL"]
    return row
