"""USD index: what an asset was worth in US dollars, minute by minute, by the hidden reference."""

from msgspec.structs import replace

from alphapulse.domain.money import EXACT
from alphapulse.simulator.core.candles import MINUTE_MS, Candle
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category


def usd_minutes(
    venue: Venue,
    asset: str,
    from_ms: int | None,
    to_ms: int | None,
    limit: int,
    *,
    is_from_start: bool,
) -> list[Candle]:
    """One ``asset`` in US dollars: the first or the last ``limit`` minutes of a range, those of the
    far past included; oldest first.

    Raises:
        Refused: UNKNOWN_SYMBOL, nothing says what it was worth.
    """
    dollars = venue.dollar.candles
    if asset == "USDT":
        return dollars.page("1m", from_ms, to_ms, limit, is_from_start=is_from_start)
    market = venue.market(Category.SPOT, f"{asset}USDT")
    candles = market.candles.page("1m", from_ms, to_ms, limit, is_from_start=is_from_start)
    if not candles:
        return []
    first_ms, last_ms = candles[0].open_ms, candles[-1].open_ms
    most = (last_ms - first_ms) // MINUTE_MS + 1
    told = dollars.page("1m", first_ms, last_ms, most, is_from_start=True)
    rates = {dollar.open_ms: dollar for dollar in told}
    return [_in_dollars(c, rates[c.open_ms]) for c in candles if c.open_ms in rates]


def _in_dollars(coin: Candle, dollar: Candle) -> Candle:
    """A candle in USDT as one in US dollars; both of the same minute."""
    multiply = EXACT.multiply
    return replace(
        coin,
        open=multiply(coin.open, dollar.open),
        high=multiply(coin.high, dollar.high),
        low=multiply(coin.low, dollar.low),
        close=multiply(coin.close, dollar.close),
        quote_volume=multiply(coin.quote_volume, dollar.close),
    )
