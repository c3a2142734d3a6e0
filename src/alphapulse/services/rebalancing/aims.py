"""Business Logic, rebalancing: from what a person aims at to the weight of each asset."""

from collections.abc import Collection, Sequence

from alphapulse.domain.account import Account
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.rebalance.choice import (
    RuleBasis,
    RuleKind,
    RuleLine,
    TargetChoice,
    TargetRule,
)
from alphapulse.domain.rebalance.lookback import Lookback, Past, Pricing, pricing_of
from alphapulse.domain.rebalance.rules import (
    FloatArray,
    inverse_volatility,
    risk_parity,
    risk_shares,
    volatilities_pct,
)
from alphapulse.domain.rebalance.targets import (
    Weights,
    capped,
    equal_weights,
    explicit_weights,
    require_assets,
)
from alphapulse.errors import InvalidInput, NotReady
from alphapulse.services.rebalancing.past import PastReader
from alphapulse.services.rebalancing.situation import Gatherer


class Aims:
    """Reads what a rule looks back on, and nothing where it looks at nothing."""

    def __init__(self, gatherer: Gatherer, past: PastReader) -> None:
        self._gatherer = gatherer
        self._past = past

    async def require_meant(
        self, choice: TargetChoice, accounts: Sequence[Account], currency: Asset
    ) -> None:
        """Whether weights can follow from it at all, without a look at the past.

        Raises:
            InvalidInput: more than 1 together, an unknown asset, a rule that cannot be applied, or
                neither targets nor a rule.
        """
        known, rule = await self._known(choice, accounts), choice.rule
        if rule is None or not rule.kind.is_by_risk:
            _without_past(choice, known)
            return
        await self._lookback(rule, accounts, currency, known)

    async def weights(
        self, choice: TargetChoice, accounts: Sequence[Account], currency: Asset
    ) -> tuple[Weights, RuleBasis | None]:
        """The share each asset is to have, and what a rule by risk made that of.

        Raises:
            InvalidInput: as `require_meant`, or what the assets did gives no weights.
            InputsNotGood: the past is not known, or too short.
        """
        known, rule = await self._known(choice, accounts), choice.rule
        if rule is None or not rule.kind.is_by_risk:
            return _without_past(choice, known), None
        lookback, pricing = await self._lookback(rule, accounts, currency, known)
        past = await self._past.read(pricing, lookback)
        returns = past.returns(rule.assets)
        by_risk = inverse_volatility if rule.kind is RuleKind.INVERSE_VOLATILITY else risk_parity
        weights = _capped(by_risk(rule.assets, returns, known), rule)
        return weights, _basis(rule, lookback, pricing, past, weights, returns)

    async def _known(self, choice: TargetChoice, accounts: Sequence[Account]) -> Collection[Asset]:
        if choice.rule is not None and choice.targets:
            raise InvalidInput("name targets or a rule, not both", field="rule")
        known = await self._gatherer.known_assets(accounts)
        if accounts and not known:
            raise NotReady("nothing was read from these exchanges yet")
        return known

    async def _lookback(
        self,
        rule: TargetRule,
        accounts: Sequence[Account],
        currency: Asset,
        known: Collection[Asset],
    ) -> tuple[Lookback, Pricing]:
        require_assets(rule.assets, known)
        if rule.cap is not None:
            _capped(equal_weights(rule.assets, known), rule)
        lookback = Lookback.of(rule)
        markets = await self._gatherer.spot_markets({account.exchange for account in accounts})
        return lookback, pricing_of(rule.assets, currency, markets)


def _without_past(choice: TargetChoice, known: Collection[Asset]) -> Weights:
    rule = choice.rule
    if rule is None:
        targets = [(one.asset, one.weight) for one in choice.targets]
        return explicit_weights(targets, choice.rest_asset, known)
    return _capped(equal_weights(rule.assets, known), rule)


def _capped(weights: Weights, rule: TargetRule) -> Weights:
    return weights if rule.cap is None else capped(weights, rule.cap)


def _basis(
    rule: TargetRule,
    lookback: Lookback,
    pricing: Pricing,
    past: Past,
    weights: Weights,
    returns: FloatArray,
) -> RuleBasis:
    ordered = {asset: weights[asset] for asset in rule.assets}
    volatilities, shares = volatilities_pct(rule.assets, returns), risk_shares(ordered, returns)
    length = lookback.timeframe.duration
    return RuleBasis(
        kind=rule.kind,
        timeframe=lookback.timeframe,
        bars=lookback.bars,
        since=past.times[0] + length,
        until=past.times[-1] + length,
        currency=pricing.currency,
        lines=tuple(
            RuleLine(
                asset=asset,
                source=pricing.source(asset),
                first_close=past.closes[asset][0],
                last_close=past.closes[asset][-1],
                volatility_pct=volatilities[asset],
                risk_share=shares[asset],
                weight=weight,
            )
            for asset, weight in ordered.items()
        ),
    )
