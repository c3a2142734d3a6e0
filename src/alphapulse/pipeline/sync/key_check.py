"""Key check: tries a key step by step before it is stored, so that each refusal has a name."""

from collections.abc import Awaitable, Callable

from alphapulse.domain.account import UNKNOWN_PERMISSIONS, KeyCheck, KeyStep, Permissions
from alphapulse.errors import AlphaPulseError
from alphapulse.exchanges.port import Exchange

Step = Callable[[Exchange], Awaitable[str]]


async def check_key(exchange: Exchange) -> KeyCheck:
    """Walk from the network to the account; after the first failure the rest is not asked."""
    permissions = UNKNOWN_PERMISSIONS

    async def read_permissions(exchange: Exchange) -> str:
        nonlocal permissions
        permissions = await exchange.fetch_permissions()
        return _in_words(permissions)

    has = exchange.capabilities
    walk: tuple[tuple[str, Step, bool], ...] = (
        ("reach", _reach, True),
        ("clock", _clock, True),
        ("permissions", read_permissions, has.permissions),
        ("balances", _balances, True),
        ("positions", _positions, has.positions),
        ("orders", _orders, True),
    )
    steps: list[KeyStep] = []
    for name, ask, is_wanted in walk:
        if is_wanted and all(step.is_ok for step in steps):
            steps.append(await _step(name, ask, exchange))
    return KeyCheck(tuple(steps), permissions, exchange.clock_offset_ms)


async def _step(name: str, ask: Step, exchange: Exchange) -> KeyStep:
    try:
        return KeyStep(name, is_ok=True, detail=await ask(exchange))
    except AlphaPulseError as error:
        detail = _what_went_wrong(error)
        return KeyStep(name, is_ok=False, detail=detail, error_code=error.code, fix=error.fix)


def _what_went_wrong(error: AlphaPulseError) -> str:
    """Ours and the venue's own words, where it had any."""
    said = error.facts.get("venue_message")
    return f'{error.message}; the exchange said "{said}"' if said else error.message


async def _reach(exchange: Exchange) -> str:
    return f"{len(await exchange.load_instruments())} instruments"


async def _clock(exchange: Exchange) -> str:
    return f"{await exchange.measure_clock()} ms apart"


async def _balances(exchange: Exchange) -> str:
    return f"{len((await exchange.fetch_balances()).balances)} balances"


async def _positions(exchange: Exchange) -> str:
    return f"{len(await exchange.fetch_positions())} positions"


async def _orders(exchange: Exchange) -> str:
    return f"{len(await exchange.fetch_open_orders())} open orders"


def _in_words(permissions: Permissions) -> str:
    named = {
        "read": permissions.read,
        "trade": permissions.trade,
        "withdraw": permissions.withdraw,
        "restricted to addresses": permissions.ip_restricted,
    }
    return ", ".join(name for name, may in named.items() if may) or "nothing stated"
