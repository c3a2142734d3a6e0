"""The names of channels."""

import pytest

from alphapulse.api.websocket.channels import ChannelKind, channel
from alphapulse.errors import NotFound


@pytest.mark.parametrize(
    ("name", "kind", "symbol", "timeframe"),
    [
        ("tickers", ChannelKind.TICKERS, None, None),
        ("ticker:BTC/USDT", ChannelKind.TICKER, "BTC/USDT", None),
        ("ticker:BTC/USDT:USDT", ChannelKind.TICKER, "BTC/USDT:USDT", None),
        ("candles:BTC/USDT:USDT:1m", ChannelKind.CANDLES, "BTC/USDT:USDT", "1m"),
        ("portfolio", ChannelKind.PORTFOLIO, None, None),
    ],
)
def test_a_channel_is_read_from_its_name(
    name: str, kind: ChannelKind, symbol: str | None, timeframe: str | None
) -> None:
    found = channel(name)

    assert (found.name, found.kind, found.symbol, found.timeframe) == (
        name,
        kind,
        symbol,
        timeframe,
    )


@pytest.mark.parametrize(
    "name",
    ["", "nothing", "ticker", "ticker:", "ticker:btc", "candles:BTC/USDT:9m", "portfolio:x"],
)
def test_a_name_that_means_nothing_is_refused(name: str) -> None:
    with pytest.raises(NotFound):
        channel(name)
