"""Opening: the world as it is when the doors open. Venues, accounts, and their past."""

import secrets
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal

from alphapulse.domain.clock import Clock
from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account, ApiKey, FeeRates
from alphapulse.simulator.core.candles import DAY_MS, MINUTE_MS
from alphapulse.simulator.core.clock import AuthClock, MarketClock, milliseconds
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category, Instrument, MarketStatus
from alphapulse.simulator.core.listing import (
    linear_instruments,
    spot_instruments,
    usdm_instruments,
)
from alphapulse.simulator.core.order import OrderKind, OrderRequest
from alphapulse.simulator.core.profile import ClientIds
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.errands import Errands
from alphapulse.simulator.far_past import Span, Walk
from alphapulse.simulator.history import History, PastClock, rest_open_orders
from alphapulse.simulator.settings import (
    CandleReplaySettings,
    FrameReplaySettings,
    GeneratorSettings,
    SimulatedAccountSettings,
    SimulatorSettings,
)
from alphapulse.simulator.state_file import load
from alphapulse.simulator.world import SimulatedAccount, World

# What is told of the accounts ends so long before today.
RECENT_MS = 2 * DAY_MS

# Where the core's own rates for perpetuals are not the venue's.
_FEES = {"binance": {Category.LINEAR: FeeRates(Decimal("0.0002"), Decimal("0.0005"))}}


def open_world(
    settings: SimulatorSettings, clock: Clock, live: MarketClock, recorded: Iterable[Instrument]
) -> World:
    """Two venues and the accounts of the settings, with their history, but no prices of today.

    Args:
        live: the market's clock from today on.
        recorded: what a recording needs listed besides the usual.
    """
    # Those who were here before have a past already; it is not lived through twice.
    is_first = settings.state_file is None or not settings.state_file.exists()
    days = _history_days(settings) if is_first else 0
    until_ms = _until_ms(settings, live)
    past = PastClock(live, until_ms - days * DAY_MS)
    spot = (*spot_instruments(), *recorded)
    venues = {
        "binance": Venue("binance", (*spot, *usdm_instruments()), past),
        "bybit": Venue("bybit", (*spot, *linear_instruments()), past, client_ids=ClientIds.FOREVER),
    }
    world = World(venues, {name: AuthClock(clock) for name in venues})
    if settings.state_file is not None:
        world.restored = load(settings.state_file, world)
    for account in _new(world, settings):
        _open_account(world, account, past.now_ms())
    if days:
        span = Span.between(settings.seed, past.now_ms(), _told_until_ms(settings, live))
        world.walk = Walk(span)
        positions = {account.label: account.positions for account in settings.accounts}
        errands = Errands(world, settings.seed) if settings.history_errands else None
        history = History(tuple(venues.values()), positions, world.walk, errands)
        history.play(past, until_ms)
    past.arrive()
    for name, profile in settings.profiles.items():
        world.set_profile(name, profile)
    return world


def settle_in(world: World, settings: SimulatorSettings) -> None:
    """At today's prices: open the positions that are not, and rest some orders.

    What a recording does not move stands still, and says so: nobody waits for news of it.
    """
    moving = _moving(settings)
    for venue in world.venues.values():
        for market in venue.markets.values():
            if moving is not None and market.instrument.unified not in moving:
                venue.set_status(market, MarketStatus.HALT)
    for known in _new(world, settings):
        venue = world.venues[known.venue]
        account = venue.accounts[known.label]
        for name, quantity in known.positions.items():
            _reach(venue, account, name, quantity)
        if _history_days(settings):
            rest_open_orders(venue, account, settings.seed)
    world.open_doors()


def _new(world: World, settings: SimulatorSettings) -> list[SimulatedAccountSettings]:
    """Accounts that no earlier run has left."""
    return [account for account in settings.accounts if account.label not in world.restored]


def _history_days(settings: SimulatorSettings) -> int:
    """A recording has a time of its own, in which nobody here has lived."""
    return settings.history_days if isinstance(settings.driver, GeneratorSettings) else 0


def _moving(settings: SimulatorSettings) -> frozenset[str] | None:
    """The symbols that get prices; ``None``: all."""
    match settings.driver:
        case CandleReplaySettings(files=files):
            return frozenset(files)
        case FrameReplaySettings(symbol=symbol):
            return frozenset({symbol})
        case _:
            return None


def _until_ms(settings: SimulatorSettings, live: MarketClock) -> int:
    if settings.history_until is None or not _history_days(settings):
        return live.now_ms()
    return min(milliseconds(settings.history_until), live.now_ms())


def _told_until_ms(settings: SimulatorSettings, live: MarketClock) -> int:
    """The driver makes up the last days itself; what is told of the accounts ends before."""
    minutes = 0
    if isinstance(settings.driver, GeneratorSettings):
        minutes = settings.driver.history_minutes
    recent_ms = live.now_ms() - minutes * MINUTE_MS
    return min(_until_ms(settings, live) - RECENT_MS, recent_ms)


def _reach(venue: Venue, account: Account, name: str, quantity: Decimal) -> None:
    """Buy or sell what is missing to a position; not where the contract has no price."""
    market = venue.market(Category.LINEAR, name)
    held = account.positions.get(name)
    missing = quantity - (held.quantity if held is not None else Decimal(0))
    if missing and market.reference_price is not None:
        side = Side.BUY if missing > 0 else Side.SELL
        request = OrderRequest(side=side, kind=OrderKind.MARKET, quantity=abs(missing))
        with suppress(Refused):  # a bad year leaves too little margin
            venue.place(account, market, request)


def _open_account(world: World, settings: SimulatedAccountSettings, now_ms: int) -> None:
    is_split = settings.venue == "binance"
    world.venues[settings.venue].open_account(
        settings.label,
        settings.deposits,
        label=settings.label,
        fees=_FEES.get(settings.venue),
        fee_asset=settings.fee_asset,
        futures=settings.futures_deposits if is_split else None,
    )
    # Recognizable wherever one turns up: it cannot be a real key.
    api_key = settings.api_key or f"sim-{settings.label}-{secrets.token_hex(8)}"
    api_secret = (
        settings.api_secret.get_secret_value()
        if settings.api_secret is not None
        else f"sim-secret-{secrets.token_hex(16)}"
    )
    key = ApiKey(
        key=api_key,
        secret=api_secret,
        account_id=settings.label,
        label=settings.label,
        created_ms=now_ms,
        can_trade=settings.can_trade,
        can_withdraw=settings.can_withdraw,
    )
    world.add(SimulatedAccount(settings.venue, settings.label, api_key, api_secret), key)
