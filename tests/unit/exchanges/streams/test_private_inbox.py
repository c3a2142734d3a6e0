"""What an account's stream said arrives in order, and a full inbox ends aloud."""

import asyncio

import pytest

from alphapulse.domain.identifiers import ExchangeId
from alphapulse.errors import AuthenticationFailed, StreamLost
from alphapulse.exchanges.port import PrivateUpdate
from alphapulse.exchanges.streams.private import Answered, Inbox
from tests.eventually import LIMIT_S

BINANCE = ExchangeId("binance")


def lost(message: str) -> StreamLost:
    return StreamLost(message, exchange=BINANCE)


async def test_updates_come_in_order_and_the_end_comes_last() -> None:
    inbox = Inbox(BINANCE)
    updates = [PrivateUpdate() for _ in range(3)]

    for update in updates:
        inbox.put(update)
    inbox.end(lost("first"))
    inbox.end(lost("second"))

    assert [await inbox.take() for _ in range(3)] == updates
    with pytest.raises(StreamLost, match="first"):
        await inbox.take()


async def test_full_inbox_ends_the_stream_instead_of_losing_from_its_middle() -> None:
    inbox = Inbox(BINANCE, capacity_updates=2)

    for _ in range(3):
        inbox.put(PrivateUpdate())

    await inbox.take()
    await inbox.take()
    with pytest.raises(StreamLost, match="not read in time"):
        await inbox.take()


async def test_answers_do_not_wait_behind_updates() -> None:
    inbox = Inbox(BINANCE)
    inbox.put(PrivateUpdate())

    waiting = asyncio.create_task(inbox.answer())
    await asyncio.sleep(0)
    inbox.put(Answered())
    await asyncio.wait_for(waiting, LIMIT_S)

    inbox.put(Answered(AuthenticationFailed("wrong key")))
    with pytest.raises(AuthenticationFailed):
        await inbox.answer()
