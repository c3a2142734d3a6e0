"""Watch list: which symbols value what is held, and which may have fills. Pure."""

from collections.abc import Collection, Iterable, Sequence

from alphapulse.domain.identifiers import Asset, Symbol
from alphapulse.domain.instrument import Instrument, InstrumentType

# What coins are priced in. The first two are tried for every asset, the rest where neither exists.
DOLLARS = (Asset("USDT"), Asset("USDC"))
QUOTES = (*DOLLARS, *map(Asset, ("USD", "FDUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL")))

# Their pairs against each other turn a value in one into a value in another.
MONEY = frozenset(
    map(Asset, ("USDT", "USDC", "USD", "FDUSD", "TUSD", "DAI", "USDE", "USD1", "RLUSD", "PYUSD"))
) | frozenset(map(Asset, ("EUR", "GBP", "TRY", "BRL", "JPY", "AUD", "ARS", "MXN", "PLN", "ZAR")))

BITCOIN = Symbol("BTC/USDT")


def valuing(
    instruments: Iterable[Instrument], assets: Collection[Asset]
) -> tuple[frozenset[Symbol], frozenset[Asset]]:
    """The symbols that price ``assets`` on this exchange, and the assets that none prices.

    Money pairs and BTC/USDT are always among the symbols: values pass through them.
    """
    pairs = {
        (i.base, i.quote): i.symbol
        for i in instruments
        if i.is_active and i.type is InstrumentType.SPOT
    }
    money = {symbol for (base, quote), symbol in pairs.items() if {base, quote} <= MONEY}
    bridges = {symbol for symbol in pairs.values() if symbol == BITCOIN}
    symbols, unpriced = money | bridges, set()
    for asset in set(assets):
        found = _pricing(pairs, asset)
        symbols |= found
        if not found and asset not in DOLLARS:
            unpriced.add(asset)
    return frozenset(symbols), frozenset(unpriced)


def _pricing(pairs: dict[tuple[Asset, Asset], Symbol], asset: Asset) -> set[Symbol]:
    direct = {pairs[asset, quote] for quote in DOLLARS if (asset, quote) in pairs}
    if direct:
        return direct
    for other in QUOTES:
        if symbol := pairs.get((asset, other)) or pairs.get((other, asset)):
            return {symbol}
    return set()


def tradable(
    instruments: Sequence[Instrument], assets: Collection[Asset], known: Collection[Symbol]
) -> tuple[Symbol, ...]:
    """Every symbol in which an account that ever held ``assets`` may have fills, the likeliest
    first: known ones, then those of which both sides were held, then either side.

    A coin that was bought and sold again leaves only its other side behind, so one side is enough.
    Halted and delisted symbols count: they were traded once.
    """
    held = set(assets)
    sides = {i.symbol: len({i.base, i.settle or i.quote} & held) for i in instruments}
    touched = [symbol for symbol, count in sides.items() if count or symbol in known]
    listed = sorted(touched, key=lambda s: (s not in known, -sides[s], s))
    return (*listed, *sorted(set(known) - sides.keys()))
