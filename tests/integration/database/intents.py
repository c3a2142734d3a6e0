"""Something in every table that an order needs."""

from datetime import timedelta
from decimal import Decimal

from alphapulse.database.repositories.idempotency import StoredRequest
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.trading import (
    AssetBook,
    CycleOutcome,
    CycleReport,
    TradingLimits,
    TradingMode,
    TradingSwitch,
)
from tests.builders import ACCOUNT, NOW, USER, make_intent, make_own_order

BOOK = AssetBook(ACCOUNT, "BTC", Decimal(1), NOW, Decimal(0), Decimal(1), NOW)

REPORT = CycleReport(
    ACCOUNT, "boot", NOW, NOW + timedelta(seconds=1), CycleOutcome.CLEAN, 3, 1, 0, 0, 0
)


async def fill_trading(tx: UnitOfWork) -> None:
    """One row of each, as if one order had been prepared."""
    await tx.orders.add(make_own_order())
    await tx.intents.add(make_intent())
    await tx.idempotency_keys.add(StoredRequest(USER, "key-1", "hash", "process", NOW))
    await tx.leases.take(ACCOUNT, "process", NOW, 30)
    await tx.switches.save(TradingSwitch(None, TradingMode.HALTED, "storm", USER, NOW))
    await tx.limits.save("user:" + USER, TradingLimits(orders_per_minute=5), 1, USER, NOW)
    await tx.limits.use("user:" + USER, "2026-11-23", Decimal("0.1"))
    await tx.reconciliations.add(REPORT)
    await tx.reconciliations.replace_books(ACCOUNT, [BOOK])
