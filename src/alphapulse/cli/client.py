"""The command line's client of the running server on this machine.

Who can read the data folder owns it: the client signs a short token with the server's key from
that folder, so commands need no login.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from alphapulse.cli.folder import running_server
from alphapulse.errors import AlphaPulseError, NotRunning

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

TIMEOUT_S = 60.0
GOODBYE_S = 1.0
PART_BYTES = 65_536


class RefusedByServer(AlphaPulseError):
    """The server answered with a problem; its code and advice are shown as they came.

    ``flaws`` are what is wrong in detail, as code and words: failed steps of a key's check, fields.
    """

    code = "refused_by_server"

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title")))
        self.flaws = [
            (str(flaw["code"]), str(flaw["detail"]))
            for flaw in problem.get("errors") or ()
            if flaw["detail"].casefold() not in self.message.casefold()
        ]
        self.code = str(problem.get("code", RefusedByServer.code))  # type: ignore[misc]
        self.fix = str(problem.get("fix") or AlphaPulseError.fix)  # type: ignore[misc]


class LocalClient:
    """Speaks to the server of one data folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = running_server(folder).url

    def get(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        """Read; `RefusedByServer` carries the problem of any other answer."""
        return self._ask("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: dict[str, Any], key: str | None = None) -> dict[str, Any]:
        """Write; with a ``key``, once however often it is asked."""
        return self._ask("POST", path, body, key)

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change."""
        return self._ask("PATCH", path, body)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make it so, whatever was there."""
        return self._ask("PUT", path, body)

    def delete(self, path: str) -> dict[str, Any]:
        """Remove."""
        return self._ask("DELETE", path)

    def download(self, path: str, query: list[tuple[str, str]], sink: IO[bytes]) -> int:
        """Write an answer of any length into ``sink``, as it comes; how many bytes.

        Raises:
            RefusedByServer: the server answered with a problem.
            NotRunning: the answer ended before its end.
        """
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            address.hostname or "127.0.0.1", address.port, timeout=TIMEOUT_S
        )
        try:
            headers = {"Authorization": f"Bearer {self._token()}"}
            connection.request("GET", f"{path}?{urlencode(query)}", headers=headers)
            answer = connection.getresponse()
            if answer.status >= 400:
                raise RefusedByServer(json.loads(answer.read()))
            size = 0
            while part := answer.read(PART_BYTES):
                size += sink.write(part)
            return size
        except (http.client.HTTPException, ConnectionError, ValueError) as error:
            raise NotRunning("the server ended the answer", url=self.url) from error
        finally:
            connection.close()

    def stream(self, channels: list[str]) -> Iterator[str]:
        """Frames of the WebSocket until the server ends it or the user stops."""
        from websockets.exceptions import ConnectionClosed
        from websockets.sync.client import connect

        address = self.url.replace("http", "ws", 1) + "/api/ws"
        with ExitStack() as stack:
            try:
                socket = connect(
                    address, open_timeout=10, close_timeout=GOODBYE_S, compression=None
                )
                stack.callback(_say_goodbye, socket)
                socket.send(json.dumps({"op": "auth", "token": self._token()}))
                socket.send(json.dumps({"op": "subscribe", "id": 1, "channels": channels}))
                for frame in socket:
                    yield frame if isinstance(frame, str) else frame.decode()
            except (OSError, ConnectionClosed) as error:
                raise NotRunning("the server ended the stream", url=self.url) from error

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        address = urlsplit(self.url)
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        connection = http.client.HTTPConnection(
            address.hostname or "127.0.0.1", address.port, timeout=TIMEOUT_S
        )
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            data: dict[str, Any] = json.loads(text) if text else {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            # After a crash somebody else may have the port of the server that is written down.
            raise NotRunning("the server does not answer", url=self.url) from error
        finally:
            connection.close()
        # A system that is down answers 503 with its status all the same.
        if answer.status >= 400 and "code" in data:
            raise RefusedByServer(data)
        return data

    def _token(self) -> str:
        from alphapulse.security.tokens import sign_local_token

        return sign_local_token(self._folder)


def _say_goodbye(socket: "ClientConnection") -> None:
    """Whoever pressed Ctrl+C hears of that, and not of a server too busy to answer."""
    from websockets.exceptions import WebSocketException

    with suppress(OSError, WebSocketException):
        socket.close()
