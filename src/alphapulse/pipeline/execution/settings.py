"""Settings of order execution: how long to wait for a venue, and for how long to doubt."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from alphapulse.exchanges.port import OrderProfile


class ExecutionSettings(BaseModel):
    """Waits are generous: an order that is unknown for longer costs less than one sent twice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    send_timeout_s: float = Field(default=10.0, gt=0)
    """After this the fate of an order that was being sent is unknown."""
    ready_within_s: float = Field(default=5.0, gt=0)
    """How long an order waits for the reconciliation at the start; then it is withdrawn."""
    prepared_max_s: float = Field(default=10.0, gt=0)
    """An order that could not be sent for so long is withdrawn: its price was another."""
    lease_s: float = Field(default=30.0, gt=0)
    """How long the right to send for an account is kept after the last order."""
    clock_error_s: float = Field(default=2.0, ge=0)
    """By how much our clock and the venue's may differ beyond what was measured."""
    look_interval_s: float = Field(default=2.0, gt=0)
    """Between two looks for an order whose fate is unknown."""
    look_timeout_s: float = Field(default=30.0, gt=0)
    """One look takes several requests; one that takes longer counts for nothing."""
    look_overlap_s: float = Field(default=60.0, ge=0)
    """How far before the send orders and fills are looked through."""
    unresolved_alarm_s: float = Field(default=60.0, gt=0)
    """An order unknown for longer is said to a person."""
    watch_absent_s: float = Field(default=86_400.0, gt=0)
    """How long an order that was proved absent is still looked for."""
    reconcile_interval_s: float = Field(default=60.0, gt=0)
    """Between two full comparisons of an account with its venue."""
    cuts_max: int = Field(default=5, ge=1)
    """How often balances are read until two readings agree; then the cycle is void."""
    drift_cycles: int = Field(default=3, ge=1)
    """A difference in so many cycles is a drift: a single one is an order on its way."""
    sends_at_once: int = Field(default=16, ge=1)
    """Per account."""
    stop_s: float = Field(default=3.0, ge=0)
    """How long a stop waits for answers; what is unknown then is resolved at the next start."""

    def doubt(self, profile: OrderProfile) -> timedelta:
        """How long after the last moment of sending an order may still appear."""
        on_its_way_s = profile.receive_window_s or profile.late_arrival_s
        return timedelta(seconds=on_its_way_s + profile.visibility_lag_s + self.clock_error_s)
