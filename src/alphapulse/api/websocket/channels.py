"""Channels: what can be subscribed to, with which right, and what rows it sends."""

from dataclasses import dataclass
from enum import StrEnum

from alphapulse.domain.identifiers import Symbol, symbol
from alphapulse.domain.market import Timeframe
from alphapulse.errors import InvalidInput, NotFound


class ChannelKind(StrEnum):
    TICKER = "ticker"
    TICKERS = "tickers"
    CANDLES = "candles"
    PORTFOLIO = "portfolio"
    POSITIONS = "positions"
    ORDERS = "orders"
    FILLS = "fills"
    ACCOUNTS = "accounts"
    REBALANCE = "rebalance"


SCOPES = {
    ChannelKind.TICKER: "market:read",
    ChannelKind.TICKERS: "market:read",
    ChannelKind.CANDLES: "market:read",
    ChannelKind.PORTFOLIO: "portfolio:read",
    ChannelKind.POSITIONS: "portfolio:read",
    ChannelKind.ORDERS: "exchange:read",
    ChannelKind.FILLS: "exchange:read",
    ChannelKind.ACCOUNTS: "exchange:read",
    ChannelKind.REBALANCE: "portfolio:read",
}

_PER_USER = {
    ChannelKind.PORTFOLIO,
    ChannelKind.POSITIONS,
    ChannelKind.ORDERS,
    ChannelKind.FILLS,
    ChannelKind.ACCOUNTS,
    ChannelKind.REBALANCE,
}

NEVER_DROPPED = {ChannelKind.ORDERS, ChannelKind.FILLS}
"""Every change of these is sent, at once and in order."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One thing to listen to, as the client named it."""

    name: str
    kind: ChannelKind
    symbol: Symbol | None = None
    timeframe: Timeframe | None = None

    @property
    def scope(self) -> str:
        return SCOPES[self.kind]

    @property
    def is_per_user(self) -> bool:
        """Whether what it sends depends on who listens."""
        return self.kind in _PER_USER


def channel(name: str) -> Channel:
    """Read a channel's name.

    Raises:
        NotFound: there is no such channel.
    """
    head, _, rest = name.partition(":")
    try:
        kind = ChannelKind(head)
        if kind is ChannelKind.TICKER:
            return Channel(name, kind, symbol=symbol(rest))
        if kind is ChannelKind.CANDLES:
            market, _, timeframe = rest.rpartition(":")
            return Channel(name, kind, symbol=symbol(market), timeframe=Timeframe(timeframe))
    except (ValueError, InvalidInput) as error:
        raise NotFound("no such channel", channel=name) from error
    if rest:
        raise NotFound("this channel takes no part after a colon", channel=name)
    return Channel(name, kind)
