"""Control API: reach into the running simulator over HTTP, from this machine only.

``/_control/...`` on the simulator's own port, JSON in and out, decimals as text. A page in a
browser cannot use it: the Host must be a loopback name and a body must say that it is JSON.
"""

from collections.abc import Awaitable, Callable
from dataclasses import fields, is_dataclass
from decimal import Decimal
from functools import wraps
from ipaddress import ip_address
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from alphapulse.domain.money import ZERO, plain
from alphapulse.domain.order import Side
from alphapulse.simulator.core.instrument import Category, MarketStatus
from alphapulse.simulator.core.order import Order
from alphapulse.simulator.core.position import PositionSide
from alphapulse.simulator.core.profile import VenueProfile
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.core.treasury import Route
from alphapulse.simulator.drivers.conductor import Conductor
from alphapulse.simulator.faults.menu import MENU
from alphapulse.simulator.faults.script import FAULT, Entry, FaultScript
from alphapulse.simulator.server import SimulatorServer
from alphapulse.simulator.settings import Profile
from alphapulse.simulator.world import World

LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}

Handler = Callable[[web.Request], Awaitable[object]]
PROFILE: TypeAdapter[VenueProfile] = TypeAdapter(Profile)

Body = TypeVar("Body", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Deposit(_Body):
    """Money from outside after so many seconds; a negative amount leaves."""

    asset: str
    amount: Decimal
    network: str = ""
    txid: str = ""
    after_s: float = Field(default=0, ge=0)

    @property
    def route(self) -> Route:
        return Route(self.network, self.txid, round(self.after_s * 1000))


class Withdrawal(Deposit):
    """Money to outside; ``fee`` is the network's, on top."""

    amount: Decimal = Field(gt=0)
    fee: Decimal = Field(default=ZERO, ge=0)


class Sending(Withdrawal):
    """To another simulated account, by its label."""

    to: str


class WalletTransfer(_Body):
    """Into the wallet of a category."""

    asset: str
    amount: Decimal = Field(gt=0)
    into: Category


class Reward(_Body):
    """What the venue gives; negative interest is paid."""

    asset: str
    amount: Decimal
    note: str = ""
    is_interest: bool = False


class Conversion(_Body):
    """Amounts by asset, all turned into one."""

    spent: dict[str, Annotated[Decimal, Field(gt=0)]] = Field(min_length=1)
    into: str


class Trade(_Body):
    """An order by hand; at the market without a limit."""

    symbol: str
    side: Side
    quantity: Decimal
    limit_price: Decimal | None = None
    client_order_id: str | None = None


class Cancel(_Body):
    """``order_id`` is the core's number, as `Trade` answers it."""

    symbol: str
    order_id: int


class Liquidation(_Body):
    """``side`` is of a hedged account's position."""

    symbol: str
    side: PositionSide = PositionSide.BOTH


class Deleveraging(Liquidation):
    """How much of the position the venue takes."""

    quantity: Decimal


class PermissionChange(_Body):
    """What is given changes, the rest stays."""

    read: bool | None = None
    trade: bool | None = None
    withdraw: bool | None = None
    ip_refused: bool | None = None


class SymbolStatus(_Body):
    """``symbol`` is unified."""

    symbol: str
    status: MarketStatus


class SymbolPrice(_Body):
    symbol: str
    price: Decimal


class ClockOffset(_Body):
    """Positive is ahead."""

    offset_ms: int


class ControlApi:
    """Routes over the world, the fault script, the sockets and the price driver."""

    def __init__(
        self, world: World, script: FaultScript, server: SimulatorServer, conductor: Conductor
    ) -> None:
        self._world = world
        self._script = script
        self._server = server
        self._conductor = conductor

    @property
    def routes(self) -> list[web.RouteDef]:
        account, venue = "/_control/accounts/{label}", "/_control/venues/{venue}"
        return [
            _get("/_control/state", self._state),
            _get(account, self._books),
            _post(f"{account}/deposit", self._deposit),
            _post(f"{account}/withdraw", self._withdraw),
            _post(f"{account}/send", self._send),
            _get(f"{account}/crossings", self._crossings),
            _post(f"{account}/crossings/{{id}}/fail", self._fail),
            _post(f"{account}/transfer", self._transfer),
            _post(f"{account}/reward", self._reward),
            _post(f"{account}/convert", self._convert),
            _post(f"{account}/trade", self._trade),
            _post(f"{account}/cancel", self._cancel),
            _post(f"{account}/liquidate", self._liquidate),
            _post(f"{account}/deleverage", self._deleverage),
            _post(f"{account}/permissions", self._permit),
            _post(f"{account}/revoke", self._revoke),
            _get(f"{venue}/prices", self._prices),
            _post(f"{venue}/stop", self._stop),
            _post(f"{venue}/start", self._start),
            _post(f"{venue}/status", self._status),
            _post(f"{venue}/price", self._price),
            _post(f"{venue}/funding", self._funding),
            _post(f"{venue}/clock", self._clock),
            _get(f"{venue}/profile", self._profile),
            _post(f"{venue}/profile", self._set_profile),
            _post("/_control/driver/pause", self._pause),
            _post("/_control/driver/resume", self._resume),
            _get("/_control/faults", self._faults),
            _get("/_control/faults/menu", self._menu),
            _post("/_control/faults", self._add_fault),
            web.delete("/_control/faults", _guarded(self._clear_faults)),
            web.delete("/_control/faults/{id}", _guarded(self._remove_fault)),
        ]

    async def _state(self, http: web.Request) -> object:
        return {
            "accounts": [{"venue": a.venue, "label": a.label} for a in self._world.accounts],
            "venues": {
                name: {"is_stopped": self._server.is_stopped(name)} for name in self._world.venues
            },
            "driver": {
                "is_paused": self._conductor.is_paused,
                "is_finished": self._conductor.is_finished,
            },
            "streams": self._server.stream_count,
            "orders_seen": self._world.orders_seen,
        }

    async def _books(self, http: web.Request) -> object:
        return self._world.books(http.match_info["label"])

    async def _deposit(self, http: web.Request) -> object:
        body = await _body(http, Deposit)
        return self._world.deposit(http.match_info["label"], body.asset, body.amount, body.route)

    async def _withdraw(self, http: web.Request) -> object:
        body = await _body(http, Withdrawal)
        label = http.match_info["label"]
        return self._world.withdraw(label, body.asset, body.amount, body.route, fee=body.fee)

    async def _send(self, http: web.Request) -> object:
        body = await _body(http, Sending)
        label = http.match_info["label"]
        return self._world.send(label, body.to, body.asset, body.amount, body.route, fee=body.fee)

    async def _crossings(self, http: web.Request) -> object:
        return list(self._world.crossings(http.match_info["label"]))

    async def _fail(self, http: web.Request) -> object:
        self._world.fail(http.match_info["label"], int(http.match_info["id"]))
        return {}

    async def _transfer(self, http: web.Request) -> object:
        body = await _body(http, WalletTransfer)
        self._world.transfer(http.match_info["label"], body.asset, body.amount, body.into)
        return {}

    async def _reward(self, http: web.Request) -> object:
        body = await _body(http, Reward)
        self._world.reward(
            http.match_info["label"],
            body.asset,
            body.amount,
            note=body.note,
            is_interest=body.is_interest,
        )
        return {}

    async def _convert(self, http: web.Request) -> object:
        body = await _body(http, Conversion)
        self._world.convert(http.match_info["label"], body.spent, body.into)
        return {}

    async def _trade(self, http: web.Request) -> object:
        body = await _body(http, Trade)
        label = http.match_info["label"]
        order = self._world.trade(
            label,
            body.symbol,
            body.side,
            body.quantity,
            limit_price=body.limit_price,
            client_order_id=body.client_order_id,
        )
        return _order(order)

    async def _cancel(self, http: web.Request) -> object:
        body = await _body(http, Cancel)
        return _order(self._world.cancel(http.match_info["label"], body.symbol, body.order_id))

    async def _liquidate(self, http: web.Request) -> object:
        body = await _body(http, Liquidation)
        return _order(self._world.liquidate(http.match_info["label"], body.symbol, body.side))

    async def _deleverage(self, http: web.Request) -> object:
        body = await _body(http, Deleveraging)
        label = http.match_info["label"]
        return _order(self._world.deleverage(label, body.symbol, body.quantity, body.side))

    async def _permit(self, http: web.Request) -> object:
        body = await _body(http, PermissionChange)
        self._world.permit(http.match_info["label"], **body.model_dump())
        return {}

    async def _revoke(self, http: web.Request) -> object:
        self._world.revoke_key(http.match_info["label"])
        return {}

    async def _prices(self, http: web.Request) -> object:
        return self._world.prices(http.match_info["venue"])

    async def _stop(self, http: web.Request) -> object:
        self._server.stop_venue(self._venue(http))
        return {}

    async def _start(self, http: web.Request) -> object:
        self._server.start_venue(self._venue(http))
        return {}

    async def _status(self, http: web.Request) -> object:
        body = await _body(http, SymbolStatus)
        self._world.set_status(self._venue(http), body.symbol, body.status)
        return {}

    async def _price(self, http: web.Request) -> object:
        body = await _body(http, SymbolPrice)
        self._world.set_price(self._venue(http), body.symbol, body.price)
        return {}

    async def _funding(self, http: web.Request) -> object:
        self._world.settle_funding(self._venue(http))
        return {}

    async def _clock(self, http: web.Request) -> object:
        body = await _body(http, ClockOffset)
        self._world.skew_clock(self._venue(http), body.offset_ms)
        return {}

    async def _profile(self, http: web.Request) -> object:
        return self._world.venues[self._venue(http)].profile

    async def _set_profile(self, http: web.Request) -> object:
        profile = PROFILE.validate_json(await http.read())
        self._world.set_profile(self._venue(http), profile)
        return profile

    async def _pause(self, http: web.Request) -> object:
        self._conductor.pause()
        return {}

    async def _resume(self, http: web.Request) -> object:
        self._conductor.resume()
        return {}

    async def _faults(self, http: web.Request) -> object:
        return [_entry(entry) for entry in self._script.entries]

    async def _menu(self, http: web.Request) -> object:
        return {
            chapter: {dish.what: dish.fault.model_dump(mode="json") for dish in dishes}
            for chapter, dishes in MENU.items()
        }

    async def _add_fault(self, http: web.Request) -> object:
        return _entry(self._script.add(FAULT.validate_json(await http.read())))

    async def _clear_faults(self, http: web.Request) -> object:
        self._script.clear()
        return {}

    async def _remove_fault(self, http: web.Request) -> object:
        if not self._script.remove(int(http.match_info["id"])):
            raise KeyError(http.match_info["id"])
        return {}

    def _venue(self, http: web.Request) -> str:
        name = http.match_info["venue"]
        if name not in self._world.venues:
            raise KeyError(name)
        return name


def _order(order: Order) -> object:
    return {"order_id": order.id, "state": order.state, "filled": order.filled_quantity}


def _get(path: str, handler: Handler) -> web.RouteDef:
    return web.get(path, _guarded(handler))


def _post(path: str, handler: Handler) -> web.RouteDef:
    return web.post(path, _guarded(handler))


def _guarded(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Only from this machine, never from a page in a browser; errors become answers."""

    @wraps(handler)
    async def guarded(http: web.Request) -> web.Response:
        if not _is_local(http):
            return _json({"error": "the control API serves this machine only"}, 403)
        try:
            return _json(await handler(http))
        except KeyError as unknown:
            return _json({"error": f"no such thing: {unknown.args[0]}"}, 404)
        except ValidationError as wrong:
            return _json({"error": _said(wrong)}, 400)
        except (Refused, ValueError) as wrong:
            return _json({"error": str(wrong)}, 400)

    return guarded


def _said(wrong: ValidationError) -> str:
    """Each field and what is wrong with it."""
    return "; ".join(
        ": ".join(part for part in (".".join(map(str, error["loc"])), error["msg"]) if part)
        for error in wrong.errors(include_url=False, include_context=False, include_input=False)
    )


def _is_local(http: web.Request) -> bool:
    is_from_here = ip_address(http.remote or "0.0.0.0").is_loopback  # noqa: S104 - not a bind
    is_named_here = http.url.host in LOOPBACK_NAMES
    is_plain_body = http.can_read_body and http.content_type != "application/json"
    return is_from_here and is_named_here and not is_plain_body


async def _body(http: web.Request, model: type[Body]) -> Body:
    return model.model_validate_json(await http.read())


def _json(value: object, status: int = 200) -> web.Response:
    encoded = msgspec.json.encode(_plain(value))
    return web.Response(status=status, body=encoded, content_type="application/json")


def _plain(value: object) -> object:
    """Decimals as text without exponents, wherever they are."""
    if isinstance(value, Decimal):
        return plain(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _entry(entry: Entry) -> object:
    return {
        "id": entry.id,
        "seen": entry.seen,
        "struck": entry.struck,
        "fault": entry.fault.model_dump(mode="json"),
    }
