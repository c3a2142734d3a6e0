"""Messages: every word of the WebSocket, one tagged union each way.

The decoder, the encoder and the AsyncAPI document are made from these classes.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_HZ_DEFAULT = 4.0
CHANNELS_MAX = 200
"""Per connection. More symbols than this are what ``tickers`` is for."""

Id = Annotated[int, Meta(ge=0, description="Chosen by the client; an error repeats it.")]
Channel = Annotated[
    str, Meta(min_length=1, max_length=100, examples=["ticker:BTC/USDT", "portfolio"])
]


class Authenticate(msgspec.Struct, tag_field="op", tag="auth", forbid_unknown_fields=True):
    """Who is asking. The first message of a client that has no cookie, within 5 seconds."""

    token: Annotated[str, Meta(min_length=1, max_length=4096)]


class Subscribe(msgspec.Struct, tag_field="op", tag="subscribe", forbid_unknown_fields=True):
    """Send a snapshot of each channel now, and what changes from then on.

    ``max_hz`` is how often a channel that shows only the latest may send; it is rounded down to
    one of 1, 2, 4, 10 and 20.
    """

    id: Id
    channels: Annotated[list[Channel], Meta(min_length=1, max_length=CHANNELS_MAX)]
    max_hz: Annotated[float, Meta(gt=0, le=100)] = MAX_HZ_DEFAULT


class Unsubscribe(msgspec.Struct, tag_field="op", tag="unsubscribe", forbid_unknown_fields=True):
    """Send no more of these channels."""

    id: Id
    channels: Annotated[list[Channel], Meta(min_length=1, max_length=CHANNELS_MAX)]


ClientMessage = Authenticate | Subscribe | Unsubscribe


class Hello(msgspec.Struct, tag_field="type", tag="hello"):
    """The first message of the server. Silence for two heartbeats means the connection is dead."""

    v: int
    session: str
    heartbeat_ms: int


class Heartbeat(msgspec.Struct, tag_field="type", tag="heartbeat"):
    """Nothing happened, and the connection lives."""

    ts: str


class Snapshot(msgspec.Struct, tag_field="type", tag="snapshot"):
    """All there is in a channel now. ``seq`` starts at 0 with each snapshot."""

    ch: str
    seq: int
    ts: str
    data: list[msgspec.Raw]


class Delta(msgspec.Struct, tag_field="type", tag="delta"):
    """What changed, keyed by ``id``: a row replaces the one of its id, ``{"id": ..., "gone":
    true}`` removes it. ``seq`` is one more than the last; a gap means subscribe again."""

    ch: str
    seq: int
    ts: str
    data: list[msgspec.Raw]


LossReason = Literal["slow_consumer", "reloaded"]


class Resync(msgspec.Struct, tag_field="type", tag="resync"):
    """The channel is no longer sent; subscribe again to have it whole."""

    ch: str
    reason: LossReason


class Failure(msgspec.Struct, tag_field="type", tag="error", omit_defaults=True):
    """What the message with this ``id`` asked for was not done."""

    code: str
    detail: str
    id: int | None = None


ServerMessage = Hello | Heartbeat | Snapshot | Delta | Resync | Failure

decode = msgspec.json.Decoder(ClientMessage).decode
encode = msgspec.json.Encoder().encode


def head(kind: Literal["snapshot", "delta"], channel: str, ts: str) -> tuple[bytes, bytes]:
    """The parts of a `Snapshot` or `Delta` before and after its sequence number, up to its data.

    Many connections get the same rows under different numbers, so only the number is written per
    connection.
    """
    name = encode(channel)
    before = b'{"type":"%s","ch":%s,"seq":' % (kind.encode(), name)
    return before, b',"ts":"%s","data":' % ts.encode()
