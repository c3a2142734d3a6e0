"""Event Bus: who hears which event."""

from alphapulse.domain.events import Event
from alphapulse.runtime.mailbox import Mailbox


class EventBus:
    """Hands each event to the mailboxes of those who asked for its exact class."""

    def __init__(self) -> None:
        self._readers: dict[type[Event], tuple[Mailbox, ...]] = {}

    def subscribe(self, mailbox: Mailbox, *event_types: type[Event]) -> None:
        """Deliver these events to ``mailbox`` from now on. Called while building, before start."""
        for event_type in event_types:
            readers = self._readers.get(event_type, ())
            assert mailbox not in readers, f"{mailbox.name} would hear {event_type} twice"
            self._readers[event_type] = (*readers, mailbox)

    def publish(self, event: Event) -> None:
        """Tell every reader, from any thread; returns at once and never raises."""
        for mailbox in self._readers.get(type(event), ()):
            mailbox.put(event)
