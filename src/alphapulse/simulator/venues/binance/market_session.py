"""One client of Binance's market streams."""

from urllib.parse import parse_qsl, unquote

import msgspec

from alphapulse.simulator.venues.binance.streams import Streams
from alphapulse.simulator.venues.face import Request, Socket

# The venue's limits for one connection.
STREAMS_MAX = 1_024

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class _Message(msgspec.Struct):
    method: str
    params: list[object] = []
    id: int | str | None = None


class MarketSession:
    """Follows what the path names, then what the client asks for.

    ``/ws`` and anything below it that is no stream is a raw connection, ``/stream`` a combined
    one.
    """

    def __init__(self, socket: Socket, request: Request, streams: Streams) -> None:
        self._socket = socket
        self._streams = streams
        self._followed: dict[str, None] = {}
        self._is_combined = request.path.startswith("/stream")
        self._follow(_named_in(request))

    def on_text(self, text: str) -> None:
        """A request of the client; answered in any case."""
        try:
            message = msgspec.json.decode(text, type=_Message)
        except msgspec.DecodeError as error:
            is_json = isinstance(error, msgspec.ValidationError)
            code, words = (2, "Invalid request") if is_json else (3, "Invalid JSON")
            self._refuse(code, f"{words}: {error}", _id_in(text) if is_json else None)
            return
        if message.method not in METHODS:
            expected = ", ".join(f"`{method}`" for method in METHODS)
            words = f"Invalid request: unknown variant `{message.method}`, expected one of"
            self._refuse(2, f"{words} {expected}", message.id)
            return
        self._do(message)

    def on_refused(self, text: str, code: int, words: str) -> None:
        """See `Session.on_refused`."""
        self._refuse(code, words, _id_in(text))

    def on_shutdown(self) -> None:
        """See `Session.on_shutdown`; the venue says it outside of any stream."""
        event = {"e": "serverShutdown", "E": self._streams.now_ms()}
        self._socket.send(msgspec.json.encode(event), topic="serverShutdown")

    def on_close(self) -> None:
        for name in self._followed:
            self._streams.forget(self._socket, name)

    def _do(self, message: _Message) -> None:
        match message.method:
            case "LIST_SUBSCRIPTIONS":
                self._reply(list(self._followed), message.id)
            case "GET_PROPERTY":
                self._reply(self._is_combined, message.id)
            case "SET_PROPERTY":
                self._set_property(message)
            case method:
                self._change(message, is_wanted=method == "SUBSCRIBE")

    def _change(self, message: _Message, *, is_wanted: bool) -> None:
        names = [name for name in message.params if isinstance(name, str)]
        if not names or len(names) != len(message.params):
            self._refuse(2, "Invalid request: params must be stream names", message.id)
            return
        if is_wanted and len({*self._followed, *names}) > STREAMS_MAX:
            self._refuse(2, f"Invalid request: more than {STREAMS_MAX} streams", message.id)
            return
        # The venue confirms first; the stream starts behind it.
        self._reply(None, message.id)
        if is_wanted:
            self._follow(names)
            return
        for name in names:
            if self._followed.pop(name, True) is None:
                self._streams.forget(self._socket, name)

    def _set_property(self, message: _Message) -> None:
        if len(message.params) != 2 or message.params[0] != "combined":
            self._refuse(2, "Invalid request: unknown property", message.id)
            return
        self._is_combined = message.params[1] is True
        self._reply(None, message.id)
        self._follow(list(self._followed))

    def _follow(self, names: list[str]) -> None:
        for name in names:
            self._followed[name] = None
            self._streams.follow(self._socket, name, is_combined=self._is_combined)

    def _reply(self, result: object, message_id: int | str | None) -> None:
        self._socket.send(msgspec.json.encode({"result": result, "id": message_id}))

    def _refuse(self, code: int, words: str, message_id: int | str | None) -> None:
        error = {"code": code, "msg": words}
        self._socket.send(msgspec.json.encode({"error": error, "id": message_id}))


def _named_in(request: Request) -> list[str]:
    """Streams that the path (``/ws/a/b``) or the query (``?streams=a/b``) names."""
    listed = unquote(request.path).removeprefix("/ws").split("/")
    listed += dict(parse_qsl(request.query)).get("streams", "").split("/")
    return [name for name in listed if "@" in name][:STREAMS_MAX]


def _id_in(text: str) -> int | str | None:
    message = msgspec.json.decode(text)
    message_id = message.get("id") if isinstance(message, dict) else None
    return message_id if isinstance(message_id, int | str) else None
