"""Streams: every market stream of one category that somebody follows."""

from collections.abc import Callable

from alphapulse.simulator.core.events import (
    AggregatePrinted,
    BestChanged,
    CandleClosed,
    CoreEvent,
    DepthChanged,
    ForcedClose,
    Pulse,
    TradePrinted,
)
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.drivers.step import DepthSnapshot, RawFrame
from alphapulse.simulator.venues.binance.recording import Recording
from alphapulse.simulator.venues.binance.topics import Topic
from alphapulse.simulator.venues.face import Socket

MakeTopic = Callable[[str], Topic]
"""The stream of a name. One that does not exist can be followed and stays silent, as on the
venue."""


class Streams:
    """Every topic that somebody follows, fed by the venue or by a recording."""

    def __init__(
        self,
        venue: Venue,
        category: Category,
        make_topic: MakeTopic,
        recording: Recording | None = None,
    ) -> None:
        self.now_ms = venue.clock.now_ms
        self._category = category
        self._make_topic = make_topic
        self._recording = recording or Recording()
        self._topics: dict[str, Topic] = {}
        self._by_symbol: dict[str, list[Topic]] = {}
        self._of_all: list[Topic] = []
        venue.subscribe(self._hear)

    def follow(self, socket: Socket, name: str, *, is_combined: bool) -> None:
        """Send this stream to ``socket`` from now on."""
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = self._make_topic(name)
            if not self._recording.is_recorded(name):
                self._group(topic).append(topic)
        topic.follow(socket, is_combined=is_combined)

    def forget(self, socket: Socket, name: str) -> None:
        """Send it no more; one that is not followed is ignored."""
        topic = self._topics.get(name)
        if topic is None or not topic.forget(socket):
            return
        del self._topics[name]
        group = self._group(topic)
        if topic in group:
            group.remove(topic)

    def relay(self, thing: RawFrame | DepthSnapshot) -> None:
        """Send a recorded frame as it is. From the first one on, its stream is the recording's."""
        if isinstance(thing, RawFrame):
            topic = self._topics.get(thing.stream)
            if topic is not None:
                if not self._recording.is_recorded(thing.stream):
                    self._group(topic).remove(topic)
                topic.send_raw(thing.data, thing.text)
        self._recording.note(thing)

    def _group(self, topic: Topic) -> list[Topic]:
        if topic.symbol is None:
            return self._of_all
        return self._by_symbol.setdefault(topic.symbol, [])

    def _hear(self, event: CoreEvent) -> None:
        if isinstance(event, Pulse):
            self._pulse(event)
        elif isinstance(event, _MARKET_EVENTS) and event.instrument.category is self._category:
            for topic in self._by_symbol.get(event.instrument.name, ()):
                topic.on_event(event)
            for topic in self._of_all:
                topic.on_event(event)

    def _pulse(self, pulse: Pulse) -> None:
        for topic in (*self._of_all, *(t for group in self._by_symbol.values() for t in group)):
            if topic.every_pulses and pulse.number % topic.every_pulses == 0:
                topic.on_pulse(pulse.at_ms)


_MARKET_EVENTS = (
    TradePrinted | AggregatePrinted | BestChanged | DepthChanged | CandleClosed | ForcedClose
)
