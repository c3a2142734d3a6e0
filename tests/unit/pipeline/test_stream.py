"""Keeping one stream open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from alphapulse.errors import AlphaPulseError, StreamLost
from alphapulse.pipeline.sync.gate import Gate
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.pipeline.sync.stream import Stream
from alphapulse.runtime.retry import Backoff
from tests.eventually import eventually
from tests.fixtures.clock import HandClock


class Peer:
    """The other end: connects, stays until cut, counts."""

    def __init__(self, clock: HandClock, silence_s: float | None = 3.0) -> None:
        self.connects = 0
        self.cut = asyncio.Event()
        self.holds = asyncio.Event()
        """Keeps it from ending while it is not set."""
        self.holds.set()
        self.is_ending = False
        self.refusal: AlphaPulseError | None = None
        self.changes: list[bool] = []
        self.errors: list[str] = []
        self.stream = Stream(
            "test",
            self._watch,
            gate=Gate(SyncSettings(), clock),
            clock=clock,
            backoff=Backoff(first_s=0.001, max_s=0.01),
            silence_s=silence_s,
            on_change=lambda: self.changes.append(self.stream.is_connected),
            on_lost=lambda error: self.errors.append(error.message),
        )

    async def _watch(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.connects += 1
        self.stream.connected()
        try:
            await self.cut.wait()
        finally:
            self.is_ending = True
            await self.holds.wait()
        self.cut.clear()
        raise StreamLost("cut")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Stream]:
        task = asyncio.create_task(self.stream.run())
        try:
            yield self.stream
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_stream_that_is_cut_is_opened_again(clock: HandClock) -> None:
    peer = Peer(clock)
    async with peer.running() as stream:
        await eventually(lambda: stream.is_connected)
        peer.cut.set()
        await eventually(lambda: peer.connects == 2)
        assert stream.losses == 1
        assert peer.errors == ["cut"]
        assert peer.changes == [True, False, True]


async def test_a_silent_stream_is_given_up(clock: HandClock) -> None:
    peer = Peer(clock)
    async with peer.running() as stream:
        await eventually(lambda: stream.is_connected)
        clock.advance(2.9)
        stream.check_silence()
        await asyncio.sleep(0.01)
        assert peer.connects == 1

        clock.advance(0.2)
        stream.check_silence()
        await eventually(lambda: peer.connects == 2)
        assert peer.errors == ["the stream fell silent"]


async def test_a_stream_that_takes_its_time_to_end_may_be_doubted_again(clock: HandClock) -> None:
    peer = Peer(clock)
    async with peer.running() as stream:
        await eventually(lambda: stream.is_connected)
        stream.doubt("deaf")
        peer.holds = asyncio.Event()
        await eventually(lambda: peer.is_ending)
        stream.doubt("still deaf")
        peer.holds.set()
        await eventually(lambda: peer.connects == 2)


async def test_each_message_puts_silence_off(clock: HandClock) -> None:
    peer = Peer(clock)
    async with peer.running() as stream:
        await eventually(lambda: stream.is_connected)
        assert not stream.has_heard
        for _ in range(5):
            clock.advance(2)
            stream.heard()
            stream.check_silence()
        await asyncio.sleep(0.01)
        assert peer.connects == 1
        assert stream.has_heard


async def test_a_private_stream_may_be_silent_for_days(clock: HandClock) -> None:
    peer = Peer(clock, silence_s=None)
    async with peer.running() as stream:
        await eventually(lambda: stream.is_connected)
        clock.advance(200_000)
        stream.check_silence()
        await asyncio.sleep(0.01)
        assert peer.connects == 1


async def test_a_restart_is_no_loss(clock: HandClock) -> None:
    peer = Peer(clock)
    async with peer.running() as stream:
        await eventually(lambda: stream.is_connected)
        stream.restart()
        await eventually(lambda: peer.connects == 2)
        assert stream.losses == 0
        assert peer.errors == []


async def test_an_error_is_kept_until_the_stream_is_back(clock: HandClock) -> None:
    peer = Peer(clock)
    peer.refusal = StreamLost("refused")
    async with peer.running() as stream:
        await eventually(lambda: stream.losses >= 2)
        assert stream.error == "refused"
        assert not stream.is_connected

        peer.refusal = None
        await eventually(lambda: stream.is_connected)
        assert stream.error is None
