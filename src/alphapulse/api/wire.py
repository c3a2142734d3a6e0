"""Wire: puts a finished answer on the connection, all of it at once.

uvicorn looks at each header of an answer and writes head and body apart, which costs as much as
all that we ask about the caller. What is written here is known to be well formed.
"""

from starlette.types import Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from alphapulse.api import headers

_OK = b"HTTP/1.1 200 OK\r\n%s%s%scontent-length: %d\r\n\r\n%s"

Exchange = RequestResponseCycle
"""One request and its answer, as uvicorn sees them."""


def open_exchange(send: Send) -> Exchange | None:
    """What ``send`` belongs to, when the server is ours and the connection takes a whole answer."""
    exchange = getattr(send, "__self__", None)
    if not isinstance(exchange, Exchange):
        return None
    return None if exchange.disconnected or exchange.flow.write_paused else exchange


def write_ok(exchange: Exchange, head: bytes, body: bytes) -> None:
    """Answer 200, and do what uvicorn does at the end of an answer.

    Args:
        head: headers beside the length, each with its end of line, nothing in them unchecked.
    """
    date = headers.lines(exchange.default_headers)
    end = b"" if exchange.keep_alive else b"connection: close\r\n"
    exchange.transport.write(_OK % (date, head, end, len(body), body))
    exchange.response_started = exchange.response_complete = True
    exchange.message_event.set()
    if not exchange.keep_alive:
        exchange.transport.close()
    exchange.on_response()
