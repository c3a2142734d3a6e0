"""Frame replay: recorded WebSocket messages of one venue, byte for byte.

Source: hftbacktest's recordings: each line is the receive time in ns, a space, and a combined
stream message or, in line, the answer to a REST depth request.
"""

import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec

from alphapulse.simulator.drivers.step import DepthSnapshot, Move, RawFrame, Step


class _Frame(msgspec.Struct):
    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()


class _Trade(msgspec.Struct):
    p: str


class FrameReplay:
    """Says each recorded frame again; trades move the symbol's price along.

    Args:
        path: the recording, gzip.
        symbol: CCXT's name of what was recorded, ``BTC/USDT``.
    """

    def __init__(self, path: Path, symbol: str) -> None:
        self._path = path
        self._symbol = symbol
        self._decoder = msgspec.json.Decoder(_Frame)

    @property
    def start_ms(self) -> int:
        return next(self._lines())[0]

    @property
    def past(self) -> None:
        """The recording is all there is."""
        return None

    def steps(self) -> Iterator[Step]:
        for at_ms, text in self._lines():
            frame = self._decoder.decode(text)
            if frame.stream is None:
                name = self._symbol.replace("/", "")
                yield Step(at_ms, snapshot=DepthSnapshot(name, text))
                continue
            data = bytes(frame.data)
            yield Step(
                at_ms,
                moves=self._moves(frame.stream, data),
                frames=(RawFrame(frame.stream, text, data),),
            )

    def _moves(self, stream: str, data: bytes) -> tuple[Move, ...]:
        if not stream.endswith("@trade"):
            return ()
        return (Move(self._symbol, Decimal(msgspec.json.decode(data, type=_Trade).p)),)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with gzip.open(self._path, "rb") as lines:
            for line in lines:
                nanoseconds, _, text = line.rstrip(b"\n").partition(b" ")
                yield int(nanoseconds) // 1_000_000, text
