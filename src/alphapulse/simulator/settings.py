"""Settings of the simulated exchange."""

from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from alphapulse.simulator.core.profile import PROFILES, VenueProfile

VenueName = Literal["binance", "bybit"]


def _by_name(value: object) -> object:
    return PROFILES.get(value, value) if isinstance(value, str) else value


Profile = Annotated[VenueProfile, BeforeValidator(_by_name)]
"""A venue's habits, or the name of some."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SimulatedAccountSettings(_Frozen):
    """One customer of a simulated venue, and its one key. Keys are fake and open nothing else."""

    venue: VenueName
    label: str = Field(pattern=r"[a-z0-9-]{1,40}")
    """Unique; faults and the control API name the account by it."""
    api_key: str | None = Field(default=None, min_length=8, max_length=128)
    """``None``: a random one each start, beginning with ``sim-``."""
    api_secret: SecretStr | None = None
    deposits: dict[str, Decimal] = Field(default_factory=dict)
    """Amounts by asset at the beginning of the history."""
    futures_deposits: dict[str, Decimal] = Field(default_factory=dict)
    """The same for the futures wallet; Binance only, where it is another one."""
    fee_asset: str | None = None
    """Pay spot fees in this asset while there is some."""
    positions: dict[str, Decimal] = Field(default_factory=dict)
    """Signed quantities of perpetuals to open, by the venue's symbol."""
    can_trade: bool = True
    can_withdraw: bool = False


# Amounts are somebody's, not nobody's: several coins, some dust, one asset that nothing prices.
DEMO_ACCOUNTS = (
    SimulatedAccountSettings(
        venue="binance",
        label="binance-main",
        fee_asset="BNB",
        deposits={
            "USDT": Decimal("48210.55"),
            "BTC": Decimal("0.85"),
            "ETH": Decimal("9.4"),
            "BNB": Decimal("14.2"),
            "SOL": Decimal("120.5"),
            "XRP": Decimal("5400"),
            "ADA": Decimal("8200"),
            "DOGE": Decimal("21000"),
            "LINK": Decimal("310.25"),
            "USDC": Decimal("2500"),
            "LTC": Decimal("0.00000731"),
            "ETHW": Decimal("3.2"),
        },
        futures_deposits={"USDT": Decimal("2640.20")},
        positions={"ETHUSDT": Decimal("2.4")},
    ),
    SimulatedAccountSettings(
        venue="binance",
        label="binance-second",
        deposits={
            "USDT": Decimal("12750.10"),
            "BTC": Decimal("0.214"),
            "ETH": Decimal("3.05"),
            "AVAX": Decimal("96.4"),
            "DOT": Decimal("410"),
            "ATOM": Decimal("188.8"),
            "EUR": Decimal("3100"),
            "TRX": Decimal("0.0000042"),
        },
    ),
    SimulatedAccountSettings(
        venue="bybit",
        label="bybit-unified",
        deposits={
            "USDT": Decimal("30950.75"),
            "BTC": Decimal("0.42"),
            "ETH": Decimal("5.75"),
            "SOL": Decimal("64.3"),
            "XRP": Decimal("2600"),
            "NEAR": Decimal("730"),
            "UNI": Decimal("150.5"),
            "AAVE": Decimal("11.2"),
            "XLM": Decimal("0.0000009"),
        },
        positions={"BTCUSDT": Decimal("0.25"), "ETHUSDT": Decimal("-3.5")},
    ),
)


class GeneratorSettings(_Frozen):
    """A made-up market on the listed instruments."""

    kind: Literal["generator"] = "generator"
    history_minutes: int = Field(default=1500, ge=0, le=20_000)
    """Past for charts; a little over a day fills the 24 h statistics."""


class CandleReplaySettings(_Frozen):
    """Recorded candles, each coming out as it went in. There is no account history then."""

    kind: Literal["candles"] = "candles"
    files: dict[str, Path] = Field(min_length=1)
    """By unified symbol: ``.csv``, ``.csv.gz`` or ``.feather``."""


class FrameReplaySettings(_Frozen):
    """Recorded WebSocket frames of Binance spot, byte for byte."""

    kind: Literal["frames"] = "frames"
    file: Path
    symbol: str = "BTC/USDT"


DriverSettings = Annotated[
    GeneratorSettings | CandleReplaySettings | FrameReplaySettings, Field(discriminator="kind")
]


class SimulatorSettings(_Frozen):
    """What is simulated, and where it listens."""

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    """0: any free one."""
    tls_port: int | None = Field(default=None, ge=0, le=65535)
    """A second port that speaks TLS, with a certificate for the venues' own names; ``None``: no."""
    allow_public_bind: bool = False
    """It holds fake keys, but whoever reaches it can change what AlphaPulse shows."""
    seed: int = 1
    """The same seed and the same requests give the same market."""
    driver: DriverSettings = GeneratorSettings()
    speed: float | None = Field(default=1.0, gt=0, le=100_000)
    """Market seconds in a real one; ``None``: as fast as the streams' readers take it. The market
    has a clock of its own unless a generator runs at 1; signatures are always checked by real
    time."""
    is_paused: bool = False
    """Start with the prices standing still."""
    accounts: tuple[SimulatedAccountSettings, ...] = DEMO_ACCOUNTS
    history_days: int = Field(default=30, ge=0, le=365)
    """How far back the accounts' trades reach; 0: no history and no open orders."""
    history_errands: bool = False
    """Whether they also paid in and out, sent to each other, earned, and swept dust."""
    history_until: AwareDatetime | None = None
    """Where the past ends; ``None``: now. The same moment and seed give the same past, so that
    what was read from it once stays true at the next start."""
    enforce_limits: bool = True
    """Answer 429, 418 or 10006 to a client that is too fast."""
    state_file: Path | None = None
    """Where accounts live between runs: balances, positions, orders, history, keys. While the file
    is there it is what counts, and ``deposits``, ``positions`` and ``history_days`` are only for
    accounts that are not in it. ``None``: every run begins anew."""
    profiles: dict[VenueName, Profile] = Field(default_factory=dict)
    """Habits of a venue that is less than honest or punctual: the name of one, or its fields."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        labels = [account.label for account in self.accounts]
        if len(set(labels)) != len(labels):
            raise ValueError("account labels must be unique")
        is_live = isinstance(self.driver, GeneratorSettings) and self.speed == 1
        if self.state_file is not None and not is_live:
            raise ValueError("state_file needs a market that lives now: a generator at speed 1")
        is_local = self.host == "localhost" or ip_address(self.host).is_loopback
        if not is_local and not self.allow_public_bind:
            raise ValueError(
                f"{self.host} is reachable from other machines; "
                "set allow_public_bind if that is meant"
            )
        return self
