"""Recording: depth of a symbol whose recorded frames are being replayed."""

import msgspec

from alphapulse.simulator.drivers.step import DepthSnapshot, RawFrame


class _Snapshot(msgspec.Struct):
    lastUpdateId: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Delta(msgspec.Struct):
    s: str
    u: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _Depth:
    """One symbol's book as the recording has it; prices and quantities stay texts."""

    def __init__(self, snapshot: _Snapshot) -> None:
        self.last_id = snapshot.lastUpdateId
        self.bids = dict(snapshot.bids)
        self.asks = dict(snapshot.asks)

    def apply(self, delta: _Delta) -> None:
        if delta.u <= self.last_id:
            return
        self.last_id = delta.u
        for levels, changes in ((self.bids, delta.b), (self.asks, delta.a)):
            for price, quantity in changes:
                if float(quantity):
                    levels[price] = quantity
                else:
                    levels.pop(price, None)


class Recording:
    """Follows what is replayed, so that a client can synchronize a book with it over REST."""

    def __init__(self) -> None:
        self._books: dict[str, _Depth] = {}
        self._streams: set[str] = set()

    def is_recorded(self, stream: str) -> bool:
        """Whether frames of this stream come from a recording; ours would contradict them."""
        return stream in self._streams

    def note(self, thing: RawFrame | DepthSnapshot) -> None:
        """Take the next thing of the replay."""
        if isinstance(thing, DepthSnapshot):
            snapshot = msgspec.json.decode(thing.text, type=_Snapshot)
            self._books[thing.symbol] = _Depth(snapshot)
            return
        self._streams.add(thing.stream)
        if "@depth" in thing.stream:
            delta = msgspec.json.decode(thing.data, type=_Delta)
            if delta.s in self._books:
                self._books[delta.s].apply(delta)

    def depth(self, symbol: str, limit: int) -> dict[str, object] | None:
        """A REST answer; ``None`` for a symbol that is not replayed."""
        book = self._books.get(symbol)
        if book is None:
            return None
        bids = sorted(book.bids.items(), key=lambda level: -float(level[0]))
        asks = sorted(book.asks.items(), key=lambda level: float(level[0]))
        return {"lastUpdateId": book.last_id, "bids": bids[:limit], "asks": asks[:limit]}
