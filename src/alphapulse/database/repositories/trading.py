"""Repository Pattern Implementation: who may send, how much, and the kill switch."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import bindparam, select

from alphapulse.database.statements import Statements
from alphapulse.database.tables.trading import (
    sender_leases,
    trading_limits,
    trading_switches,
    trading_usage,
)
from alphapulse.domain.identifiers import AccountId, Symbol
from alphapulse.domain.money import ZERO
from alphapulse.domain.trading import Lease, TradingLimits, TradingMode, TradingSwitch

_LEASE = select(sender_leases).where(sender_leases.c.account_id == bindparam("account_id"))
_SWITCHES = select(trading_switches).order_by(trading_switches.c.subject)
_LIMITS = select(trading_limits).where(trading_limits.c.subject == bindparam("subject"))
_USAGE = select(trading_usage.c.value).where(
    trading_usage.c.subject == bindparam("subject"), trading_usage.c.day == bindparam("day")
)


class Leases:
    """One sender per account, whatever another process believes."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def load(self, account_id: AccountId) -> Lease | None:
        """The lease as it is."""
        row = await self._statements.row(_LEASE, account_id=account_id)
        if row is None:
            return None
        return Lease(account_id, row.holder, row.fence, row.expires_at)

    async def take(
        self,
        account_id: AccountId,
        holder: str,
        now: datetime,
        lasts_s: float,
        is_gone: Callable[[str], bool] = lambda holder: False,
    ) -> Lease | None:
        """Take or renew it; ``None`` while somebody else has it.

        A new holder gets a higher fence, and so does the same one after it had run out. From a
        holder that ``is_gone`` it is taken before its time.
        """
        held = await self.load(account_id)
        expires_at = now + timedelta(seconds=lasts_s)
        if held is None:
            lease = Lease(account_id, holder, 1, expires_at)
        elif held.holder == holder and held.expires_at > now:
            lease = replace(held, expires_at=expires_at)
        elif held.holder == holder or held.expires_at <= now or is_gone(held.holder):
            lease = Lease(account_id, holder, held.fence + 1, expires_at)
        else:
            return None
        row = {
            "account_id": account_id,
            "holder": holder,
            "fence": lease.fence,
            "expires_at": expires_at,
        }
        await self._statements.upsert(sender_leases, [row])
        return lease

    async def give_back(self, account_id: AccountId, holder: str, now: datetime) -> None:
        """Let the next one have it at once."""
        held = await self.load(account_id)
        if held is not None and held.holder == holder:
            row = {
                "account_id": account_id,
                "holder": holder,
                "fence": held.fence,
                "expires_at": now,
            }
            await self._statements.upsert(sender_leases, [row])


class Switches:
    """The kill switch of all accounts, and of each."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def save(self, switch: TradingSwitch) -> None:
        row = {
            "subject": switch.account_id or "",
            "mode": switch.mode,
            "reason": switch.reason,
            "changed_by": switch.changed_by,
            "changed_at": switch.changed_at,
        }
        await self._statements.upsert(trading_switches, [row])

    async def list(self) -> tuple[TradingSwitch, ...]:
        """Every one that was ever used."""
        rows = await self._statements.rows(_SWITCHES)
        return tuple(
            TradingSwitch(
                AccountId(row.subject) if row.subject else None,
                row.mode,
                row.reason,
                row.changed_by,
                row.changed_at,
            )
            for row in rows
        )

    async def mode_of(self, account_id: AccountId | None) -> TradingMode:
        """The stricter of the account's own and that of all; without an account, the latter."""
        modes = {s.mode for s in await self.list() if s.account_id in {None, account_id}}
        for mode in (TradingMode.HALTED, TradingMode.REDUCING):
            if mode in modes:
                return mode
        return TradingMode.ACTIVE


class Limits:
    """Limits of accounts and users, and how much of them the day has used."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def load(self, subject: str) -> tuple[TradingLimits, int] | None:
        """The limits of ``account:ID`` or ``user:ID`` with their version."""
        row = await self._statements.row(_LIMITS, subject=subject)
        if row is None:
            return None
        symbols = None if row.symbols is None else frozenset(map(Symbol, row.symbols.split()))
        limits = TradingLimits(
            row.max_order_value,
            row.max_daily_value,
            row.orders_per_minute,
            row.price_band_pct,
            row.max_price_age_s,
            row.max_spread_pct,
            symbols,
        )
        return limits, row.version

    async def save(
        self, subject: str, limits: TradingLimits, version: int, by: str | None, now: datetime
    ) -> None:
        symbols = None if limits.symbols is None else " ".join(sorted(limits.symbols))
        row = {
            "subject": subject,
            "version": version,
            "max_order_value": limits.max_order_value,
            "max_daily_value": limits.max_daily_value,
            "orders_per_minute": limits.orders_per_minute,
            "price_band_pct": limits.price_band_pct,
            "max_price_age_s": limits.max_price_age_s,
            "max_spread_pct": limits.max_spread_pct,
            "symbols": symbols,
            "changed_by": by,
            "changed_at": now,
        }
        await self._statements.upsert(trading_limits, [row])

    async def used(self, subject: str, day: str) -> Decimal:
        """Value of all that was sent on a day (``2026-11-23``, UTC)."""
        row = await self._statements.row(_USAGE, subject=subject, day=day)
        return ZERO if row is None else row.value

    async def use(self, subject: str, day: str, value: Decimal) -> None:
        """Set what was used, as counted by the caller in this transaction."""
        row = {"subject": subject, "day": day, "value": value}
        await self._statements.upsert(trading_usage, [row])
