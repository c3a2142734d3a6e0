"""Conversation: what Bybit's three kinds of socket have in common. Ops, replies, refusals."""

from uuid import uuid4

import msgspec

from alphapulse.simulator.venues.bybit.codes import BybitError
from alphapulse.simulator.venues.bybit.params import json_object
from alphapulse.simulator.venues.bybit.rows import Row
from alphapulse.simulator.venues.face import Socket

# A browser of the whole market follows some hundred; beyond this a client has lost count.
TOPICS_MAX = 1_000


class Conversation:
    """Reads ops and says no in the venue's way. Unknown keys of a message are ignored."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self.conn_id = str(uuid4())

    def on_text(self, text: str) -> None:
        """One message of the client."""
        message: Row = {}
        try:
            message = json_object(text)
            self.on_op(str(message.get("op", "")), message)
        except BybitError as refused:
            self.refuse(message, refused)

    def on_refused(self, text: str, code: int, words: str) -> None:
        """See `Session.on_refused`."""
        self.refuse(json_object(text), BybitError(code, words))

    def on_shutdown(self) -> None:
        """Bybit closes without a word."""

    def on_op(self, op: str, message: Row) -> None:
        """Do what ``op`` asks.

        Raises:
            BybitError: it cannot be done; the client is told.
        """
        raise NotImplementedError

    def reply(self, row: Row) -> None:
        """Send something that belongs to no topic."""
        self._socket.send(msgspec.json.encode(row))

    def refuse(self, message: Row, refused: BybitError) -> None:
        """Tell the client that its op failed."""
        self.reply(
            {
                "success": False,
                "ret_msg": refused.message,
                "conn_id": self.conn_id,
                "req_id": request_id(message),
                "op": str(message.get("op", "")),
            }
        )

    def acknowledge(self, message: Row, ret_msg: str = "") -> None:
        """Tell the client that its op is done."""
        self.reply(
            {
                "success": True,
                "ret_msg": ret_msg,
                "conn_id": self.conn_id,
                "req_id": request_id(message),
                "op": str(message.get("op", "")),
            }
        )


def request_id(message: Row) -> str:
    """As text whatever was sent; empty when nothing was."""
    return str(message.get("req_id", ""))


def topics_of(message: Row) -> list[str]:
    """The topics an op names.

    Raises:
        BybitError: there are none, or they are no texts.
    """
    args = message.get("args")
    if not isinstance(args, list) or not args or not all(isinstance(arg, str) for arg in args):
        raise BybitError(10001, "Params Error")
    return args
