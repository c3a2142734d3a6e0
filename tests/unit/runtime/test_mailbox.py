"""Mailbox: one wake-up a burst, nothing lost but what a reload gives back."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from alphapulse.domain.events import AccountRemoved, BalancesChanged
from alphapulse.domain.identifiers import AccountId
from alphapulse.runtime.mailbox import Mailbox
from tests.eventually import LIMIT_S, eventually

pytestmark = pytest.mark.usefixtures("loop_debug")


def removed(name: str) -> AccountRemoved:
    """A state event."""
    return AccountRemoved(AccountId(name))


def changed(name: str) -> BalancesChanged:
    """A latest-only event."""
    return BalancesChanged(AccountId(name))


async def test_take_waits_for_an_event_put_by_another_thread() -> None:
    mailbox = Mailbox("test", 10)
    reader = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)

    thread = threading.Thread(target=mailbox.put, args=[removed("a")])
    thread.start()

    assert (await asyncio.wait_for(reader, LIMIT_S)).events == [removed("a")]
    thread.join()


async def test_a_burst_wakes_the_reader_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = Mailbox("test", 1000)
    loop = asyncio.get_running_loop()
    wake_ups = 0
    real = loop.call_soon_threadsafe

    def counted(callback: Callable[..., object], *args: object) -> object:
        nonlocal wake_ups
        wake_ups += 1
        return real(callback, *args)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    reader = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)

    for number in range(1000):
        mailbox.put(removed(str(number)))

    assert len((await reader).events) == 1000
    assert wake_ups == 1


async def test_a_newer_event_takes_the_newer_place_in_the_line() -> None:
    mailbox = Mailbox("test", 10)
    for event in (changed("a"), removed("a"), changed("b"), changed("a")):
        mailbox.put(event)

    assert (await mailbox.take()).events == [removed("a"), changed("b"), changed("a")]


async def test_a_full_box_drops_state_events_keeps_latest_only_ones_and_says_so_once() -> None:
    mailbox = Mailbox("test", 3)
    for event in (removed("1"), changed("a"), removed("2"), removed("3"), removed("4")):
        mailbox.put(event)

    batch = await mailbox.take()
    assert batch.overflowed
    assert batch.events == [changed("a")]
    assert mailbox.overflows == 1

    mailbox.put(removed("5"))
    batch = await mailbox.take()
    assert not batch.overflowed
    assert batch.events == [removed("5")]


async def test_more_keys_than_room_is_an_overflow_too() -> None:
    mailbox = Mailbox("test", 2)
    for name in "abc":
        mailbox.put(changed(name))

    batch = await mailbox.take()
    assert batch.overflowed
    assert batch.events == [changed("c")]


async def test_a_canceled_take_leaves_the_events_to_the_next_reader() -> None:
    mailbox = Mailbox("test", 10)
    reader = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    mailbox.put(removed("a"))
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader

    assert (await mailbox.take()).events == [removed("a")]


async def test_a_reader_that_always_finds_something_lets_others_run() -> None:
    mailbox = Mailbox("test", 10)
    others = 0

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(10):
        mailbox.put(removed("a"))
        await mailbox.take()
    task.cancel()

    assert others >= 9


async def test_depth_and_age_say_how_late_the_reader_is() -> None:
    mailbox = Mailbox("test", 10)
    assert (mailbox.depth, mailbox.oldest_age_s) == (0, 0.0)

    mailbox.put(changed("a"))
    await eventually(lambda: mailbox.oldest_age_s > 0.02)
    mailbox.put(changed("a"))

    assert mailbox.depth == 1
    assert mailbox.oldest_age_s > 0.02
    await mailbox.take()
    assert (mailbox.depth, mailbox.oldest_age_s) == (0, 0.0)


async def test_an_event_put_after_the_readers_loop_closed_waits_for_the_next_reader() -> None:
    mailbox = Mailbox("test", 10)

    def read_and_leave() -> None:
        async def leave() -> None:
            reader = asyncio.ensure_future(mailbox.take())
            await asyncio.sleep(0)
            reader.cancel()

        asyncio.run(leave())

    await asyncio.to_thread(read_and_leave)
    mailbox.put(removed("a"))

    assert (await mailbox.take()).events == [removed("a")]
