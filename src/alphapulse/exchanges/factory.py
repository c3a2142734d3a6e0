"""Exchange Factory: the named adapter, or the generic one for any other exchange of CCXT.

Accounts on one exchange share its rate budget and its list of instruments, and nothing else: each
has its own connections, so that one that hangs holds up no other.
"""

import difflib
from collections.abc import Callable
from typing import Any

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.errors import InvalidInput
from alphapulse.exchanges.adapters.binance import exchange as binance
from alphapulse.exchanges.adapters.bybit import exchange as bybit
from alphapulse.exchanges.adapters.generic import exchange as generic
from alphapulse.exchanges.budget import Budgets
from alphapulse.exchanges.ccxt import loading
from alphapulse.exchanges.ccxt.client import Surroundings
from alphapulse.exchanges.ccxt.session import ExchangeSession, MarketCatalog
from alphapulse.exchanges.ccxt.transport import Transport
from alphapulse.exchanges.port import Capabilities, Credentials, TradingExchange
from alphapulse.exchanges.settings import ExchangesSettings

__all__ = ["ExchangeFactory", "ExchangesSettings"]

Maker = Callable[[AccountId | None, ExchangeSession], TradingExchange]

_NAMED: dict[ExchangeId, tuple[Maker, Capabilities]] = {
    binance.EXCHANGE: (binance.BinanceExchange, binance.CAPABILITIES),
    bybit.EXCHANGE: (bybit.BybitExchange, bybit.CAPABILITIES),
}

# CCXT's names of credentials that `Credentials` carries, and ours.
_FIELDS = {"apiKey": "api_key", "secret": "api_secret", "password": "password"}


class ExchangeFactory:
    """Makes exchanges for the one loop they will be used on."""

    def __init__(self, settings: ExchangesSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._budgets: dict[ExchangeId, Budgets] = {}
        self._catalogs: dict[ExchangeId, MarketCatalog] = {}

    def known(self) -> tuple[ExchangeId, ...]:
        """Every exchange there is, the named ones first."""
        others = sorted(ExchangeId(name) for name in loading.known_exchanges())
        return (*_NAMED, *(name for name in others if name not in _NAMED))

    def capabilities(self, exchange: ExchangeId) -> Capabilities:
        """What an exchange can do through us.

        Raises:
            InvalidInput: there is no such exchange.
        """
        self._require_known(exchange)
        named = _NAMED.get(exchange)
        return generic.capabilities(exchange) if named is None else named[1]

    def is_simulated(self, exchange: ExchangeId) -> bool:
        """Whether another address stands in for the venue's own."""
        return self._settings.endpoint(exchange) is not None

    def open(
        self, exchange: ExchangeId, account_id: AccountId | None, credentials: Credentials | None
    ) -> TradingExchange:
        """An account on an exchange, or with no credentials its public side. Sends nothing yet.

        Raises:
            InvalidInput: no such exchange, or a credential field it needs is missing.
        """
        found = self.capabilities(exchange)
        if credentials is not None:
            _require_fields(exchange, credentials)
        session = ExchangeSession(
            self._surroundings(exchange),
            self._catalogs.setdefault(exchange, MarketCatalog()),
            credentials,
        )
        named = _NAMED.get(exchange)
        if named is not None:
            return named[0](account_id, session)
        return generic.GenericExchange(exchange, account_id, session, found)

    def hold(self, exchange: ExchangeId, seconds: float) -> None:
        """Send nothing to an exchange for so long, whoever asks."""
        self._budgets_of(exchange).hold(seconds)

    def _budgets_of(self, exchange: ExchangeId) -> Budgets:
        if exchange not in self._budgets:
            self._budgets[exchange] = Budgets(
                exchange, self._clock, max_wait_s=self._settings.max_budget_wait_s
            )
        return self._budgets[exchange]

    def _surroundings(self, exchange: ExchangeId) -> Surroundings:
        return Surroundings(
            exchange=exchange,
            settings=self._settings,
            transport=Transport(self._settings),
            budgets=self._budgets_of(exchange),
            clock=self._clock,
        )

    def _require_known(self, exchange: ExchangeId) -> None:
        names = loading.known_exchanges()
        if exchange not in names:
            close = ", ".join(difflib.get_close_matches(exchange, names, n=3))
            hint = f"; close to it: {close}" if close else ""
            raise InvalidInput(f"no such exchange{hint}", field="exchange", value=exchange)


def _require_fields(exchange: ExchangeId, credentials: Credentials) -> None:
    given = {"api_key": credentials.api_key, "api_secret": credentials.api_secret}
    given["password"] = credentials.password or ""
    required: dict[str, Any] = loading.exchange_class(exchange)().requiredCredentials
    for name, is_required in required.items():
        if not is_required:
            continue
        if name not in _FIELDS:
            raise InvalidInput(
                "this exchange signs in a way that is not supported", field=name, exchange=exchange
            )
        if not given[_FIELDS[name]]:
            raise InvalidInput(
                "this exchange needs one more field", field=_FIELDS[name], exchange=exchange
            )
