"""Choice: what a person aims at, and what the weights of a rule were made of. Pure."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.market import Timeframe


class RuleKind(StrEnum):
    """How weights follow from a list of assets."""

    EQUAL = "equal"
    INVERSE_VOLATILITY = "inverse_volatility"
    """In proportion to 1 / volatility."""
    RISK_PARITY = "risk_parity"
    """Each asset contributes the same to the variance of the whole."""

    @property
    def is_by_risk(self) -> bool:
        """Whether it looks back on how the assets moved."""
        return self is not RuleKind.EQUAL


@dataclass(frozen=True, slots=True)
class TargetRule:
    """``cap`` is the most that one asset may have, a share of one; what is over goes to the
    others. A rule by risk looks back ``lookback_days`` in bars of ``timeframe``."""

    kind: RuleKind
    assets: tuple[Asset, ...]
    cap: Decimal | None = None
    lookback_days: int = 90
    timeframe: Timeframe = Timeframe.D1


@dataclass(frozen=True, slots=True)
class Target:
    """``weight`` is a share of one."""

    asset: Asset
    weight: Decimal


@dataclass(frozen=True, slots=True)
class TargetChoice:
    """What a person aims at: targets with an asset for the rest, or a rule."""

    targets: tuple[Target, ...] = ()
    rest_asset: Asset | None = None
    rule: TargetRule | None = None


@dataclass(frozen=True, slots=True)
class RuleLine:
    """What a rule by risk saw of one asset, and the weight that it made of it.

    ``source`` names the markets. ``volatility_pct`` is the standard deviation of the returns of one
    bar, in per cent; ``risk_share`` the asset's share of the variance of the whole.
    """

    asset: Asset
    source: str
    first_close: Decimal
    last_close: Decimal
    volatility_pct: Decimal
    risk_share: Decimal
    weight: Decimal


@dataclass(frozen=True, slots=True)
class RuleBasis:
    """What the weights of a rule by risk were made of: ``bars`` returns between the close at
    ``since`` and the one at ``until``, all closes in ``currency``."""

    kind: RuleKind
    timeframe: Timeframe
    bars: int
    since: datetime
    until: datetime
    currency: Asset
    lines: tuple[RuleLine, ...]
