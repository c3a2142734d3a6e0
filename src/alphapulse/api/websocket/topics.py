"""Topics: who listens to what, and what each has been sent so far."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from alphapulse.api.websocket import messages
from alphapulse.api.websocket.channels import Channel
from alphapulse.api.websocket.frames import FrameWriter, text_frame
from alphapulse.services.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Row:
    """One keyed line of a channel. ``state`` is compared, ``encode`` called only when it differs:
    the encoded line carries ages, which change by themselves."""

    id: str
    state: object
    encode: Callable[[], bytes]


@dataclass(eq=False, slots=True)
class Client:
    """One connection that is listening. ``lost`` are the channels it was too slow for."""

    connection_id: str
    session_id: str
    viewer: Viewer
    scopes: frozenset[str]
    writer: FrameWriter
    cohorts: dict[str, "Cohort"] = field(default_factory=dict)
    lost: dict[str, messages.LossReason] = field(default_factory=dict)
    lagging_since_s: float | None = None

    def leave(self, channel: str) -> None:
        """Listen to ``channel`` no more; nothing happens when it did not."""
        cohort = self.cohorts.pop(channel, None)
        if cohort is not None:
            cohort.clients.discard(self)


@dataclass(eq=False, slots=True)
class Cohort:
    """Clients who were sent exactly the same messages of a topic, so one frame serves them all."""

    seq: int = 0
    clients: set[Client] = field(default_factory=set)


class Topic:
    """One channel, at one pace, for one kind of viewer: all who listen are sent the same rows."""

    def __init__(self, channel: Channel, viewer: Viewer) -> None:
        self.channel = channel
        self.viewer = viewer
        self._cohorts: list[Cohort] = []
        self._sent: dict[str, object] = {}

    @property
    def is_deserted(self) -> bool:
        """Whether nobody listens any more."""
        self._cohorts = [cohort for cohort in self._cohorts if cohort.clients]
        return not self._cohorts

    def join(self, client: Client, rows: Iterable[Row], ts: str) -> None:
        """Send ``client`` everything, and what changes from now on."""
        rows = list(rows)
        if self.is_deserted:
            self._sent = {row.id: row.state for row in rows}
        if not self._cohorts or self._cohorts[-1].seq > 0:
            self._cohorts.append(Cohort())
        before, after = messages.head("snapshot", self.channel.name, ts)
        data = b"[" + b",".join(row.encode() for row in rows) + b"]"
        if client.writer.write_frame(text_frame(before + b"0" + after + data + b"}")):
            client.cohorts[self.channel.name] = self._cohorts[-1]
            self._cohorts[-1].clients.add(client)
        else:
            client.lost[self.channel.name] = "slow_consumer"

    def publish(self, rows: Iterable[Row], ts: str) -> list[Client]:
        """Send what differs from what was sent last; return who was too slow for it."""
        now = {row.id: row for row in rows}
        changed = [
            row.encode() for row in now.values() if self._sent.get(row.id, _NOTHING) != row.state
        ]
        changed += [_gone(row_id) for row_id in self._sent.keys() - now.keys()]
        self._sent = {row.id: row.state for row in now.values()}
        return self.send(changed, ts) if changed else []

    def send(self, data: list[bytes], ts: str) -> list[Client]:
        """Send these rows as they are; return who was too slow for them."""
        before, after = messages.head("delta", self.channel.name, ts)
        tail = after + b"[" + b",".join(data) + b"]}"
        slow = []
        for cohort in self._cohorts:
            cohort.seq += 1
            frame = text_frame(b"%s%d%s" % (before, cohort.seq, tail))
            slow += [client for client in cohort.clients if not client.writer.write_frame(frame)]
        for client in slow:
            client.leave(self.channel.name)
            client.lost[self.channel.name] = "slow_consumer"
        return slow

    def dismiss(self, reason: messages.LossReason) -> list[Client]:
        """Everybody has to subscribe again; return who is to be told."""
        clients = [client for cohort in self._cohorts for client in cohort.clients]
        for client in clients:
            client.leave(self.channel.name)
            client.lost[self.channel.name] = reason
        return clients


_NOTHING = object()


def _gone(row_id: str) -> bytes:
    return messages.encode({"id": row_id, "gone": True})
