"""CCXT Pro layer: what every stream over CCXT Pro needs laid over its classes.

Numbers with a point stay text, so that they reach Decimal without passing through a float. A
handler that trips over a message would end CCXT's receive loop without a word; here it ends the
stream aloud. So does the end of a socket, which CCXT tells only to whoever awaits a message.
"""

from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from alphapulse.errors import AlphaPulseError, StreamLost
from alphapulse.exchanges.ccxt import loading
from alphapulse.exchanges.ccxt.client import BREAKS
from alphapulse.exchanges.streams.memory import UNREADABLE

# A stream may be silent for days, so pings must tell a dead one: CCXT gives up after two to three
# of these without a pong. Binance's own default there is 180 s.
KEEP_ALIVE_MS = 15_000

_JSON = msgspec.json.Decoder(float_hook=str)


class ProLayer:
    """A mixin, because CCXT calls these methods on itself."""

    def on_message(self, socket: Any, message: Any) -> None:
        """Each decoded message, in order; by default CCXT's own handlers take it."""
        super().handle_message(socket, message)  # type: ignore[misc]

    def on_end(self, lost: StreamLost) -> None:
        """How the stream ended; may be told more than once."""
        raise NotImplementedError

    def client(self: Any, url: str) -> Any:
        self.streaming = {**self.streaming, "keepAlive": KEEP_ALIVE_MS}
        socket = super().client(url)  # type: ignore[misc]
        socket.handle_text_or_binary_message = partial(self._decode, socket)
        return socket

    def _decode(self, socket: Any, data: str | bytes) -> None:
        try:
            text = data.decode() if isinstance(data, bytes) and socket.decompressBinary else data
            is_json = isinstance(text, str) and text[:1] in {"{", "["}
            message = _JSON.decode(text) if is_json else text
        except UNREADABLE as broken:
            self._end("a message cannot be read", broken)
            return
        socket.on_message_callback(socket, message)

    def handle_message(self, socket: Any, message: Any) -> None:
        try:
            self.on_message(socket, message)
        except StreamLost as lost:
            self.on_end(lost)
        except (AlphaPulseError, loading.base_error(), *BREAKS) as raised:
            self._end("a message cannot be read", raised)

    def on_close(self, socket: Any, code: Any) -> None:
        super().on_close(socket, code)  # type: ignore[misc]
        self.on_end(StreamLost("stream ended", exchange=self._exchange, close_code=code))

    def on_error(self, socket: Any, error: Any) -> None:
        super().on_error(socket, error)  # type: ignore[misc]
        self._end("stream broken", error)

    def _end(self, message: str, reason: BaseException) -> None:
        # CCXT's own texts hold addresses; ours do not.
        told = str(reason) if isinstance(reason, AlphaPulseError) else type(reason).__name__
        self.on_end(StreamLost(message, exchange=self._exchange, reason=told))

    @property
    def _exchange(self: Any) -> str:
        return str(self.id)


async def close(client: Any) -> None:
    """Leave nothing of a CCXT Pro instance behind.

    The session goes first: a peer that is gone would hold up each socket's good-bye for ten
    seconds.
    """
    with suppress(loading.base_error()):
        if client.session is not None:
            await client.session.close()
        await client.close()
