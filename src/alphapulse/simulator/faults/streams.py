"""Faults of open WebSockets: of the frames that go out, and of the messages that come in."""

from typing import Literal

from pydantic import Field

from alphapulse.simulator.faults.fault import MESSAGE, BaseFault, Occasion


class FrameFault(BaseFault):
    """Base of what a frame on its way out sets off."""


class FrozenStream(FrameFault):
    """Half-open: from now on the connection neither sends nor answers, pongs included."""

    kind: Literal["frozen_stream"] = "frozen_stream"


class ClosedStream(FrameFault):
    """The connection ends with a close code, or with 1006: without a word. The frame is lost."""

    kind: Literal["closed_stream"] = "closed_stream"
    code: int = Field(default=1001, ge=1000, le=4999)
    reason: str = Field(default="", max_length=100)


class RotatedStream(FrameFault):
    """The venue says that the server goes down, where it has a word for it, and closes the
    connection after ``notice_s``."""

    kind: Literal["rotated_stream"] = "rotated_stream"
    notice_s: float = Field(default=600, ge=0, le=3_600)


class SlowConsumer(FrameFault):
    """From now on the venue's patience ends at ``outbox_bytes`` that the client has not read."""

    kind: Literal["slow_consumer"] = "slow_consumer"
    outbox_bytes: int = Field(default=0, ge=0)


class LostFrame(FrameFault):
    """A frame is not sent: the gap a client must notice."""

    kind: Literal["lost_frame"] = "lost_frame"


class RepeatedFrame(FrameFault):
    """A frame is sent ``times`` times."""

    kind: Literal["repeated_frame"] = "repeated_frame"
    times: int = Field(default=2, ge=2, le=1_000)


class ReorderedFrame(FrameFault):
    """A frame is sent behind the next one of its connection."""

    kind: Literal["reordered_frame"] = "reordered_frame"


class DelayedFrame(FrameFault):
    """A frame is sent ``delay_s`` late; others pass it by."""

    kind: Literal["delayed_frame"] = "delayed_frame"
    delay_s: float = Field(gt=0, le=600)


class ForeignFrame(FrameFault):
    """Before a frame comes one that the venue never meant to send: no JSON, or an unknown event."""

    kind: Literal["foreign_frame"] = "foreign_frame"
    text: str = Field(default="<html>Bad Gateway</html>", max_length=10_000)


class HugeFrame(FrameFault):
    """Before a frame comes one of ``size_bytes``, of JSON that says nothing."""

    kind: Literal["huge_frame"] = "huge_frame"
    size_bytes: int = Field(default=11 * 1024 * 1024, ge=2, le=64 * 1024 * 1024)


class MessageFault(BaseFault):
    """Base of what befalls a message of the client."""

    def concerns(self, occasion: Occasion) -> bool:
        return occasion.method == MESSAGE and super().concerns(occasion)


class LostMessage(MessageFault):
    """A message of the client never arrives; with the topic ``ping`` no ping is answered."""

    kind: Literal["lost_message"] = "lost_message"


class RefusedMessage(MessageFault):
    """A message of the client is refused in the venue's envelope, and not done."""

    kind: Literal["refused_message"] = "refused_message"
    code: int = 10001
    message: str = "error:handler not found"


AnyFrameFault = (
    FrozenStream
    | ClosedStream
    | RotatedStream
    | SlowConsumer
    | LostFrame
    | RepeatedFrame
    | ReorderedFrame
    | DelayedFrame
    | ForeignFrame
    | HugeFrame
)
AnyMessageFault = LostMessage | RefusedMessage
