"""Business Logic, rebalancing: how fresh is fresh, how far is too far, and how often to look."""

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field


class RebalanceSettings(BaseModel):
    """Of plans and their execution."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_age_s: float = Field(default=10.0, gt=0)
    """A plan is refused when a balance, price or quote it needs is older."""
    read_timeout_s: float = Field(default=10.0, gt=0)
    """How long a plan waits for balances and orders to be read anew."""
    fees_kept_s: float = Field(default=3600.0, gt=0)
    """Fee rates change with the volume of a month."""
    books_per_plan: int = Field(default=50, ge=0)
    """Markets without a fresh quote whose book is asked for; the plan is refused beyond that."""
    ttl_s: int = Field(default=120, ge=1)
    """How long a plan may be executed, unless it was asked for another time."""
    max_price_move_pct: Decimal = Field(default=Decimal(1), gt=0)
    """A plan whose prices have moved further is not executed."""
    look_interval_s: float = Field(default=1.0, gt=0)
    """How often a run looks at its orders and at the kill switch, also when nothing is heard."""
    drift_interval_s: float = Field(default=60.0, gt=0)
    """Between two looks at the drift of the target sets."""
