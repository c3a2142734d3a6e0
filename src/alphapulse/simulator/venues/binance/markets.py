"""Markets: what one of Binance's APIs lists."""

from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category, MarketStatus
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.venues.binance.codes import bad_symbol


class Markets:
    """The markets of one category."""

    def __init__(self, venue: Venue, category: Category) -> None:
        self._venue = venue
        self._category = category

    def market(self, name: str) -> Market:
        """A listed one.

        Raises:
            BinanceError: -1121.
        """
        try:
            return self._venue.market(self._category, name)
        except Refused:
            raise bad_symbol() from None

    def all_markets(self) -> list[Market]:
        """Every listed one, in the order of listing."""
        return [
            market
            for (category, _), market in self._venue.markets.items()
            if category is self._category and market.status is not MarketStatus.DELISTED
        ]
