"""When a finished answer may go past the server's own way of sending."""

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from alphapulse.api.wire import open_exchange, write_ok


class Paper(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True


def exchange(paper: Paper, *, keep_alive: bool = True) -> RequestResponseCycle:
    return RequestResponseCycle(
        scope={"type": "http", "method": "GET"},  # type: ignore[typeddict-item]
        transport=paper,
        flow=FlowControl(paper),
        logger=logging.getLogger(),
        access_logger=logging.getLogger(),
        access_log=False,
        default_headers=[(b"date", b"now")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )


async def test_an_answer_is_whole_and_says_so() -> None:
    paper = Paper()
    cycle = exchange(paper)

    write_ok(cycle, b"x-one: 1\r\n", b"{}")

    assert paper.written == (
        b"HTTP/1.1 200 OK\r\ndate: now\r\nx-one: 1\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert cycle.response_complete
    assert not paper.is_closed


async def test_a_connection_that_is_not_kept_is_closed_after_it() -> None:
    paper = Paper()

    write_ok(exchange(paper, keep_alive=False), b"", b"{}")

    assert b"connection: close\r\n" in paper.written
    assert paper.is_closed


async def test_only_a_connection_of_our_server_that_takes_it_now_is_open() -> None:
    async def foreign(message: Any) -> None: ...

    ready, slow, gone = exchange(Paper()), exchange(Paper()), exchange(Paper())
    slow.flow.write_paused = True
    gone.disconnected = True

    assert open_exchange(foreign) is None
    assert open_exchange(ready.send) is ready  # type: ignore[arg-type]
    assert open_exchange(slow.send) is None  # type: ignore[arg-type]
    assert open_exchange(gone.send) is None  # type: ignore[arg-type]
