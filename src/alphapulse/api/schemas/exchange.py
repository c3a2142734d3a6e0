"""Bodies of the exchange routes: balances, orders and accounts."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from alphapulse.api.schemas.base import (
    Body,
    Cursor,
    DayChangeView,
    Dec,
    Input,
    Limit,
    Page,
    PriceView,
    Timestamp,
    View,
)
from alphapulse.domain.account import KeyStep, Permissions
from alphapulse.domain.balance import Wallet

AccountStatus = Literal["ok", "stale", "error", "disabled"]


class PermissionsView(View):
    """What the exchange says the key may do; null where it does not say."""

    read: bool | None
    trade: bool | None
    withdraw: bool | None
    ip_restricted: bool | None

    @classmethod
    def of(cls, permissions: Permissions) -> "PermissionsView":
        return cls(
            read=permissions.read,
            trade=permissions.trade,
            withdraw=permissions.withdraw,
            ip_restricted=permissions.ip_restricted,
        )


class ErrorView(View):
    """Why the last reading failed, since when, and what to do about it."""

    class_: str = Field(serialization_alias="class", description="A stable code, as in problems.")
    message: str
    since: Timestamp | None
    fix: str | None


class BalanceQuery(Input):
    """Which balances; ``refresh=wait`` reads the exchange first."""

    account: list[str] = Field(default=[], max_length=100)
    exchange: str | None = None
    asset: str | None = None
    wallet: Wallet | Literal["all"] = "all"
    currency: str | None = Field(default=None, max_length=40)
    refresh: Literal["none", "queue", "wait"] = "none"
    wait_s: Annotated[float, Field(gt=0, le=20)] = 10.0
    include_zero: bool = False


class BalanceLine(View):
    """One asset in one wallet: ``total = free + locked``; ``borrowed`` is owed on top."""

    wallet: Wallet
    asset: str
    raw_asset: str | None = None
    free: Dec
    locked: Dec
    borrowed: Dec
    interest: Dec | None = None
    total: Dec
    price: PriceView | None
    value: Dec | None
    change_24h: DayChangeView | None = None


class AccountBalances(View):
    """One account with everything in it. ``value`` includes profit of open contracts."""

    id: str
    exchange: str
    label: str
    status: AccountStatus
    as_of: Timestamp | None
    next_sync_at: Timestamp | None
    error: ErrorView | None
    permissions: PermissionsView
    wallets_asked: list[Wallet] | None = None
    wallets_not_asked: list[Wallet] | None = None
    value: Dec | None
    balances: list[BalanceLine]


class BalanceBody(Body):
    """Every account with every balance."""

    accounts: list[AccountBalances]
    total_value: Dec | None = Field(description="Null when nothing that is held has a price.")


Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]


class NewAccount(Input):
    """A key to connect with. It is checked before anything is stored, and stored encrypted."""

    exchange: str = Field(max_length=30, examples=["binance"])
    label: Label = Field(examples=["Main"])
    api_key: SecretStr = Field(min_length=1, max_length=500)
    api_secret: SecretStr = Field(min_length=1, max_length=5000)
    password: SecretStr | None = Field(
        default=None, max_length=500, description="The passphrase some exchanges give with a key."
    )
    allow_withdraw: bool = Field(
        default=False, description="Accept a key that may withdraw; it is refused otherwise."
    )


class StepView(View):
    """One step of the check: reach, clock, permissions, balances, positions, orders."""

    name: str
    ok: bool
    detail: str
    code: str | None
    fix: str | None

    @classmethod
    def of(cls, step: KeyStep) -> "StepView":
        return cls(
            name=step.name,
            ok=step.is_ok,
            detail=step.detail,
            code=step.error_code,
            fix=step.fix,
        )


class SyncLine(View):
    """How fresh one kind of data is."""

    kind: str
    state: str
    last_ok_at: Timestamp | None
    next_try_at: Timestamp | None
    progress: float | None
    stream: str | None
    error: ErrorView | None


class AccountView(View):
    """One connected account; its key is never shown again."""

    id: str
    exchange: str
    label: str
    state: Literal["active", "paused", "disabled"]
    state_reason: str | None
    status: AccountStatus
    is_simulated: bool
    permissions: PermissionsView
    permissions_checked_at: Timestamp | None
    sync: list[SyncLine]
    created_at: Timestamp
    updated_at: Timestamp


class AccountBody(Body):
    """An account, and on a new one what the check found."""

    account: AccountView
    checks: tuple[StepView, ...] = ()


class AccountsQuery(Input):
    """A part of the list."""

    cursor: Cursor = None
    limit: Limit = 100


class AccountPage(Page[AccountView]):
    """Accounts by the time they were connected."""


class KeyCheckBody(Body):
    """What the exchange answered to the key, step by step."""

    ok: bool
    steps: list[StepView]
    permissions: PermissionsView
    clock_offset_ms: int | None


class SyncRequest(Input):
    """What to read again now; everything of every account by default."""

    account: str | None = None
    kinds: tuple[Literal["balances", "positions", "orders", "fills", "flows"], ...] = ()
    wait_s: float = Field(
        default=10.0, gt=0, le=20, description="How long the answer may wait for the readings."
    )


class SyncedAccounts(Body):
    """The accounts after the reading; one that failed says why in its ``sync``."""

    accounts: list[AccountView]
