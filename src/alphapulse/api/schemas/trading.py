"""Bodies of the trading routes: the kill switch, the limits, and reconciliation."""

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from alphapulse.api.schemas.base import Body, Dec, Input, Timestamp, View
from alphapulse.api.schemas.orders import OrderView
from alphapulse.domain.trading import CycleOutcome, CycleReport, TradingMode

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class HaltBody(Input):
    """Stop sending orders; cancels go on. It holds until somebody resumes, over restarts too."""

    account_id: str | None = Field(
        default=None, max_length=100, description="One account; all that you may see without."
    )
    reason: Reason = Field(examples=["odd prices"])
    reduce_only: bool = Field(
        default=False, description="Still let through what makes a position smaller."
    )
    cancel_open: bool = Field(default=False, description="Cancel every open order, too.")


class ResumeBody(Input):
    """Send orders again."""

    account_id: str | None = Field(default=None, max_length=100)
    reason: Reason = Field(examples=["the prices are right again"])


class SwitchView(View):
    """One switch; `account_id` is null for the one over all accounts."""

    account_id: str | None
    mode: TradingMode
    reason: str
    changed_by: str | None
    changed_at: Timestamp


class TradingBody(Body):
    """How trading is: the switch over all accounts, each one that was used, and every order whose
    fate is unknown."""

    mode: TradingMode
    switches: list[SwitchView]
    unknown_orders: list[OrderView]
    canceled: list[OrderView] | None = Field(
        default=None, description="The orders that were canceled with a halt, as they then are."
    )


class LimitsView(View):
    """What one subject may do. Null is no limit. Values are in `currency`."""

    max_order_value: Dec | None
    max_daily_value: Dec | None = Field(description="Of all orders sent since midnight UTC.")
    orders_per_minute: int | None
    price_band_pct: Dec | None
    max_price_age_s: Dec | None
    max_spread_pct: Dec | None
    symbols: list[str] | None = Field(description="The only markets allowed; null is all.")


class LimitsItem(View):
    """The limits of one account, or of you where `account_id` is null. Version 0 are those of the
    settings."""

    account_id: str | None
    user_id: str | None
    version: int
    currency: str
    used_today: Dec
    limits: LimitsView


class LimitsBody(Body):
    """Every account's and your own; an order must keep them all."""

    items: list[LimitsItem]


class LimitsChange(Input):
    """New limits, all of them: what is null is unlimited. Without an account they are your own."""

    account_id: str | None = Field(default=None, max_length=100)
    version: int = Field(ge=0, description="Of the limits that were read.")
    max_order_value: Dec | None
    max_daily_value: Dec | None
    orders_per_minute: int | None = Field(ge=1)
    price_band_pct: Dec | None
    max_price_age_s: Dec | None
    max_spread_pct: Dec | None
    symbols: list[Annotated[str, Field(max_length=80)]] | None = Field(max_length=1000)

    @model_validator(mode="after")
    def _limits_are_not_negative(self) -> "LimitsChange":
        for name in ("max_order_value", "max_daily_value", "price_band_pct", "max_price_age_s",
                     "max_spread_pct"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative")
        return self


class LimitsAnswer(Body):
    """The limits as they are now."""

    limits: LimitsItem


class CycleView(View):
    """What one comparison of an account with its exchange found.

    `void`: something could not be read completely, and nothing was concluded. `drift`: they
    disagree, `detail` says by how much.
    """

    cause: str
    began_at: Timestamp
    ended_at: Timestamp
    outcome: CycleOutcome
    orders_read: int
    fills_new: int
    external: int
    unresolved: int
    differences: int
    detail: str | None

    @classmethod
    def of(cls, report: CycleReport) -> "CycleView":
        return cls(**{name: getattr(report, name) for name in cls.model_fields})


class CycleBody(Body):
    """One comparison."""

    report: CycleView


class CyclesBody(Body):
    """The last comparisons, the newest first."""

    items: list[CycleView]
