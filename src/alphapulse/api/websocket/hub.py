"""Hub: hands what changed to everyone who listens, and waits for nobody.

What shows only the latest goes out at the pace each client asked for; orders and fills go out at
once and none is left out. A client that does not keep up is told to subscribe again when it has
caught up, and is disconnected when it does not.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from alphapulse.api.schemas.base import stamp
from alphapulse.api.websocket import messages
from alphapulse.api.websocket.channels import NEVER_DROPPED, Channel, ChannelKind, channel
from alphapulse.api.websocket.frames import text_frame
from alphapulse.api.websocket.topics import Client, Row, Topic
from alphapulse.domain.clock import Clock
from alphapulse.errors import AlphaPulseError, Forbidden, InvalidInput
from alphapulse.observability import metrics
from alphapulse.services.live_state import Changes
from alphapulse.services.viewer import NOBODY, Viewer

HEARTBEAT_S = 15.0
LAGGING_S_MAX = 30.0
PACES_HZ = (20.0, 10.0, 4.0, 2.0, 1.0)
"""What ``max_hz`` is rounded down to, so that clients share frames."""

REVOKED = 4401
TOO_SLOW = 1013


class Rows(Protocol):
    """Where the rows of a channel come from."""

    def current(self, channel: Channel, viewer: Viewer) -> Iterable[Row]:
        """Every row there is now."""
        ...

    def changed(self, kind: ChannelKind, changes: Changes, viewer: Viewer) -> list[bytes]:
        """The orders or fills among ``changes`` that ``viewer`` may see, in their order."""
        ...


class Pace:
    """Topics that are flushed together, ``hz`` times a second at most."""

    def __init__(self, hz: float) -> None:
        self.interval_s = 1 / hz
        self.topics: dict[tuple[str, Viewer], Topic] = {}
        self.due_s = 0.0
        self.is_dirty = False


class Hub:
    """Every WebSocket client of this process."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock
        self._clients: set[Client] = set()
        self._lagging: set[Client] = set()
        self._paces = {hz: Pace(hz) for hz in PACES_HZ}
        self._never_dropped: dict[tuple[str, Viewer], Topic] = {}
        self._changed = asyncio.Event()
        self.dropped = 0
        """How often a client was too slow for a channel, since the start."""

    @property
    def client_count(self) -> int:
        return len(self._clients)

    def connect(self, client: Client) -> None:
        """Count ``client`` among those who listen."""
        self._clients.add(client)
        metrics.WS_CLIENTS.set(len(self._clients))

    def disconnect(self, client: Client) -> None:
        """Forget ``client``; nothing happens when it is not there."""
        for name in tuple(client.cohorts):
            client.leave(name)
        self._clients.discard(client)
        self._lagging.discard(client)
        metrics.WS_CLIENTS.set(len(self._clients))

    def end_session(self, session_id: str) -> None:
        """Close every connection of a session that was revoked."""
        for client in [c for c in self._clients if c.session_id == session_id]:
            client.writer.disconnect(REVOKED, "session revoked")

    def handle(self, client: Client, message: messages.ClientMessage) -> None:
        """Do what a client asks; what cannot be done is answered with an error."""
        match message:
            case messages.Subscribe(id=asked, channels=names, max_hz=max_hz):
                for name in names:
                    try:
                        self._subscribe(client, name, max_hz)
                    except AlphaPulseError as error:
                        self.fail(client, _code(error), error.message, asked)
            case messages.Unsubscribe(channels=names):
                for name in names:
                    client.leave(name)
                    client.lost.pop(name, None)
            case messages.Authenticate():
                self.fail(client, "bad_request", "already authenticated")

    def fail(self, client: Client, code: str, detail: str, asked: int | None = None) -> None:
        """Tell ``client`` that something was not done."""
        failure = messages.Failure(code=code, detail=detail, id=asked)
        client.writer.write_frame(text_frame(messages.encode(failure)))

    def on_changes(self, changes: Changes) -> None:
        """Take what the live state just learned."""
        ts = stamp(self._clock.now())
        for topic in _alive(self._never_dropped):
            if changes.is_reload:
                self._lagging.update(topic.dismiss("reloaded"))
            elif rows := self._rows.changed(topic.channel.kind, changes, topic.viewer):
                self._note_slow(topic.send(rows, ts))
        for pace in self._paces.values():
            pace.is_dirty = bool(pace.topics)
        self._changed.set()

    async def run(self) -> None:
        """Flush each pace when it is due, keep connections warm, and see to slow clients."""
        loop = asyncio.get_running_loop()
        heartbeat_s = loop.time() + HEARTBEAT_S
        while True:
            now_s = loop.time()
            if now_s >= heartbeat_s:
                heartbeat_s = now_s + HEARTBEAT_S
                self._beat()
            self._see_to_lagging(now_s)
            next_s = min(heartbeat_s, self.flush_due(now_s), now_s + self._lagging_wait_s())
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_s):
                    await self._changed.wait()
            self._changed.clear()

    def flush_due(self, now_s: float) -> float:
        """Flush every pace whose time has come; return when the next one is due."""
        next_s = float("inf")
        for pace in self._paces.values():
            if pace.is_dirty and now_s >= pace.due_s:
                pace.is_dirty = False
                pace.due_s = now_s + pace.interval_s
                self._flush(pace)
            elif pace.is_dirty:
                next_s = min(next_s, pace.due_s)
        return next_s

    def _flush(self, pace: Pace) -> None:
        ts = stamp(self._clock.now())
        for topic in _alive(pace.topics):
            self._note_slow(topic.publish(self._rows.current(topic.channel, topic.viewer), ts))

    def _subscribe(self, client: Client, name: str, max_hz: float) -> None:
        wanted = channel(name)
        if wanted.scope not in client.scopes:
            raise Forbidden("this channel needs a scope you do not have", scope=wanted.scope)
        if len(client.cohorts) >= messages.CHANNELS_MAX and name not in client.cohorts:
            raise InvalidInput("too many channels on one connection", limit=messages.CHANNELS_MAX)
        client.leave(name)
        client.lost.pop(name, None)
        viewer = client.viewer if wanted.is_per_user else NOBODY
        topics = self._topics(wanted, max_hz)
        topic = topics.setdefault((name, viewer), Topic(wanted, viewer))
        topic.join(client, self._rows.current(wanted, viewer), stamp(self._clock.now()))
        if client.lost:
            self._note_slow([client])

    def _topics(self, wanted: Channel, max_hz: float) -> dict[tuple[str, Viewer], Topic]:
        if wanted.kind in NEVER_DROPPED:
            return self._never_dropped
        hz = next((hz for hz in PACES_HZ if hz <= max_hz), PACES_HZ[-1])
        return self._paces[hz].topics

    def _note_slow(self, clients: Sequence[Client]) -> None:
        for client in clients:
            self.dropped += 1
            metrics.WS_DROPPED.inc()
            self._lagging.add(client)

    def _lagging_wait_s(self) -> float:
        return 0.25 if self._lagging else float("inf")

    def _see_to_lagging(self, now_s: float) -> None:
        for client in tuple(self._lagging):
            client.lagging_since_s = client.lagging_since_s or now_s
            if client.writer.is_drained:
                self._tell_resync(client)
            elif now_s - client.lagging_since_s > LAGGING_S_MAX:
                client.writer.disconnect(TOO_SLOW, "too slow")
                self._lagging.discard(client)

    def _tell_resync(self, client: Client) -> None:
        for name, reason in client.lost.items():
            message = messages.Resync(ch=name, reason=reason)
            client.writer.write_frame(text_frame(messages.encode(message)))
        client.lost.clear()
        client.lagging_since_s = None
        self._lagging.discard(client)

    def _beat(self) -> None:
        frame = text_frame(messages.encode(messages.Heartbeat(ts=stamp(self._clock.now()))))
        for client in self._clients:
            client.writer.write_frame(frame)


def _alive(topics: dict[tuple[str, Viewer], Topic]) -> list[Topic]:
    """The topics somebody listens to; the others are forgotten."""
    for key in [key for key, topic in topics.items() if topic.is_deserted]:
        del topics[key]
    return list(topics.values())


def _code(error: AlphaPulseError) -> str:
    return "unknown_channel" if error.code == "not_found" else error.code
