"""Feed: hands each event of the core to every listener, in order."""

from collections.abc import Callable

from alphapulse.simulator.core.events import CoreEvent

Listener = Callable[[CoreEvent], None]


class Feed:
    """Listeners are called at once, and must neither wait nor raise."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Hear everything from now on, until the returned function is called."""
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

        return unsubscribe

    def emit(self, event: CoreEvent) -> None:
        for listener in self._listeners:
            listener(event)
