"""User stream: one client's connection to its account's own events."""

from decimal import Decimal
from urllib.parse import parse_qsl

import msgspec

from alphapulse.domain.money import EXACT
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.events import (
    BalancesChanged,
    CoreEvent,
    LeverageChanged,
    OrderChanged,
    PositionChanged,
    Pulse,
)
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.position import Position
from alphapulse.simulator.venues.binance.market_rows import Row
from alphapulse.simulator.venues.binance_usdm import user_events
from alphapulse.simulator.venues.binance_usdm.listen_keys import ListenKey, ListenKeys
from alphapulse.simulator.venues.face import Request, Socket

# A margin call goes out when this share of the margin is needed for maintenance.
CALL_SHARE = Decimal("0.8")

# Pulses between two looks at the margin.
CALL_PULSES = 10


def listen_key_in(request: Request) -> str | None:
    """The listen key of a handshake: ``?listenKey=``, ``/ws/<key>`` or ``?streams=<key>``.

    ``None``: it is about market streams.
    """
    query = dict(parse_qsl(request.query))
    if "listenKey" in query:
        return query["listenKey"]
    last = query.get("streams") or request.path.rpartition("/")[2]
    return last if len(last) >= 40 and last.isalnum() else None


class UserSession:
    """Silent until something happens; silent for ever with a key that is not alive."""

    def __init__(
        self, socket: Socket, listen_key: str, venue: Venue, listen_keys: ListenKeys
    ) -> None:
        self._socket = socket
        self._venue = venue
        self._listen_keys = listen_keys
        self._key: ListenKey | None = listen_keys.find(listen_key)
        self._moved: dict[str, PositionChanged] = {}
        self._called: set[str] = set()
        if self._key is not None:
            socket.account = venue.accounts[self._key.account_id].label
        self._unsubscribe = venue.subscribe(self._hear)

    def on_text(self, text: str) -> None:
        """Clients have nothing to say here; what they send is confirmed, as on any stream."""
        try:
            message = msgspec.json.decode(text, type=dict[str, object])
        except msgspec.DecodeError:
            return
        self._socket.send(msgspec.json.encode({"result": None, "id": message.get("id")}))

    def on_refused(self, text: str, code: int, words: str) -> None:
        """See `Session.on_refused`; no message of a client does anything here."""
        error = {"code": code, "msg": words}
        self._socket.send(msgspec.json.encode({"error": error, "id": None}))

    def on_shutdown(self) -> None:
        """See `Session.on_shutdown`; the futures close without a word."""

    def on_close(self) -> None:
        self._unsubscribe()

    def _hear(self, event: CoreEvent) -> None:
        key = self._key
        if key is None:
            return
        if isinstance(event, Pulse):
            self._look(key, event)
        elif getattr(event, "account_id", None) == key.account_id:
            self._tell_event(event, self._venue.accounts[key.account_id])

    def _tell_event(self, event: CoreEvent, account: Account) -> None:
        match event:
            case OrderChanged() if event.order.instrument.category is Category.LINEAR:
                self._tell_order(event)
            case PositionChanged():
                # Told with the balances, which follow at once.
                name = f"{event.instrument.name} {event.side}"
                self._moved[name] = event
            case LeverageChanged():
                self._moved.clear()
                self._tell(user_events.leverage_update(event), event.instrument.name)
            case BalancesChanged(category=Category.LINEAR):
                moved = tuple(self._moved.values())
                self._moved.clear()
                symbol = moved[0].instrument.name if moved else None
                self._tell(user_events.account_update(event, account, self._venue, moved), symbol)

    def _tell_order(self, event: OrderChanged) -> None:
        name = event.order.instrument.name
        if user_events.tells_book(event):
            if event.fill is not None:
                self._tell(user_events.trade_lite(event, event.fill), name)
            self._tell(user_events.order_update(event), name)
        if user_events.tells_algo(event):
            self._tell(user_events.algo_update(event), name)

    def _look(self, key: ListenKey, pulse: Pulse) -> None:
        """See whether the key still lives, and how near liquidation is."""
        if self._listen_keys.find(key.text) is not key or self._venue.key(key.api_key) is None:
            self._key = None
            self._tell(user_events.listen_key_expired(key.text, pulse.at_ms), None)
        elif pulse.number % CALL_PULSES == 0:
            self._call(self._venue.accounts[key.account_id], pulse.at_ms)

    def _call(self, account: Account, at_ms: int) -> None:
        """Warn once of each position that comes near, and again when it comes back."""
        near = [p for p in account.positions.values() if self._is_near(account, p)]
        new = [p for p in near if p.key not in self._called]
        self._called = {p.key for p in near}
        if new:
            report = self._venue.margin(account, new[0].instrument.quote)
            self._tell(
                user_events.margin_call(account, self._venue, new, report.cross_wallet, at_ms), None
            )

    def _is_near(self, account: Account, position: Position) -> bool:
        mark = self._venue.mark_price(position.instrument)
        if position.isolated_atoms is not None:
            equity = EXACT.add(position.isolated_margin, position.unrealized_pnl(mark))
            needed = position.maintenance_margin(mark)
        else:
            report = self._venue.margin(account, position.instrument.quote)
            equity, needed = report.cross_equity, report.cross_maintenance
        return needed > EXACT.multiply(equity, CALL_SHARE)

    def _tell(self, row: Row, symbol: str | None) -> None:
        self._socket.send(msgspec.json.encode(row), topic=str(row["e"]), symbol=symbol)
