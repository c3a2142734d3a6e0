"""Turn: one holder at a time over many threads, in the order of asking."""

import asyncio
import threading

import pytest

from alphapulse.runtime.turn import Turn
from tests.eventually import LIMIT_S, eventually

pytestmark = pytest.mark.usefixtures("loop_debug")


async def test_turns_are_taken_in_the_order_of_asking() -> None:
    turn = Turn()
    order: list[int] = []

    async def take(number: int) -> None:
        async with turn:
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(take(number) for number in range(20)))
    assert order == list(range(20))


async def test_many_loops_never_hold_it_at_once_and_all_get_it() -> None:
    turn = Turn()
    holders, most, done = 0, 0, 0

    async def take() -> None:
        nonlocal holders, most, done
        for _ in range(50):
            async with turn:
                holders += 1
                most = max(most, holders)
                await asyncio.sleep(0)
                holders -= 1
                done += 1

    async def several() -> None:
        await asyncio.gather(take(), take(), take())

    threads = [threading.Thread(target=lambda: asyncio.run(several())) for _ in range(3)]
    for thread in threads:
        thread.start()
    await several()
    for thread in threads:
        await asyncio.to_thread(thread.join)

    assert (most, done) == (1, 4 * 3 * 50)


async def test_waiting_for_a_turn_held_on_another_thread_blocks_no_loop() -> None:
    turn = Turn()
    held, release = threading.Event(), threading.Event()

    async def hold() -> None:
        async with turn:
            held.set()
            await asyncio.to_thread(release.wait, 5)

    thread = threading.Thread(target=lambda: asyncio.run(hold()))
    thread.start()
    await eventually(held.is_set)

    async def take() -> None:
        async with turn:
            pass

    waiting = asyncio.create_task(take())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    release.set()
    await waiting
    thread.join()


async def test_a_waiter_that_is_canceled_leaves_the_line() -> None:
    turn = Turn()
    async with turn:
        first = asyncio.create_task(turn.__aenter__())
        second = asyncio.create_task(turn.__aenter__())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    await asyncio.wait_for(second, LIMIT_S)
    await turn.__aexit__(None, None, None)


async def test_a_waiter_canceled_while_the_turn_is_on_its_way_passes_it_on() -> None:
    turn = Turn()
    await turn.__aenter__()
    first = asyncio.create_task(turn.__aenter__())
    second = asyncio.create_task(turn.__aenter__())
    await asyncio.sleep(0)

    await turn.__aexit__(None, None, None)  # hands it to the first
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first

    await asyncio.wait_for(second, LIMIT_S)
    await turn.__aexit__(None, None, None)


async def test_an_error_inside_gives_the_turn_back() -> None:
    turn = Turn()
    with pytest.raises(ValueError, match="inside"):
        async with turn:
            raise ValueError("inside")
    async with asyncio.timeout(LIMIT_S), turn:
        pass
