"""Business Logic: the limits of trading until somebody sets others, and how long to wait."""

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from alphapulse.domain.trading import TradingLimits


class TradingSettings(BaseModel):
    """The limits hold for each account and each user that has none of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str = "USD"
    """What the values of all limits are in."""
    max_order_value: Decimal | None = Field(default=Decimal(10_000), gt=0)
    """Of one order; a slip of a digit costs no more than this."""
    max_daily_value: Decimal | None = Field(default=Decimal(50_000), gt=0)
    """Of all orders sent since midnight UTC."""
    orders_per_minute: int | None = Field(default=60, ge=1)
    """Far more than a person places, and what a program that runs wild is stopped at."""
    price_band_pct: Decimal | None = Field(default=Decimal(5), gt=0)
    """How far a limit or stop price may be from the last good one."""
    max_price_age_s: Decimal | None = Field(default=Decimal(5), gt=0)
    """An order is not checked against an older price."""
    max_spread_pct: Decimal | None = Field(default=Decimal(2), gt=0)
    """Between bid and ask, of the middle; a wider market is an empty one."""
    contract_fee_pct: Decimal = Field(default=Decimal("0.1"), ge=0)
    """Kept free for the fee of a contract; the highest that Binance and Bybit ask is below."""
    duplicate_window_s: float = Field(default=5.0, ge=0)
    """An equal order within this time is suspected to be a slip, and asked about."""
    answer_within_s: float = Field(default=20.0, gt=0, lt=30)
    """After this the answer is that the order's fate is not known yet."""
    book_timeout_s: float = Field(default=3.0, gt=0)
    """How long a preview, or a market without a live price, waits for the order book."""

    @property
    def limits(self) -> TradingLimits:
        """For whoever has none of its own."""
        return TradingLimits(
            self.max_order_value,
            self.max_daily_value,
            self.orders_per_minute,
            self.price_band_pct,
            self.max_price_age_s,
            self.max_spread_pct,
        )
