"""Bus: each reader hears what it asked for, and nothing else."""

import pytest

from alphapulse.domain.events import AccountRemoved, BalancesChanged, PositionsChanged
from alphapulse.domain.identifiers import AccountId
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.mailbox import Mailbox

pytestmark = pytest.mark.usefixtures("loop_debug")

ACCOUNT = AccountId("a")


async def test_an_event_reaches_every_mailbox_that_asked_for_its_class_and_no_other() -> None:
    bus = EventBus()
    both, one = Mailbox("both", 10), Mailbox("one", 10)
    bus.subscribe(both, AccountRemoved, BalancesChanged)
    bus.subscribe(one, AccountRemoved)

    bus.publish(BalancesChanged(ACCOUNT))
    bus.publish(AccountRemoved(ACCOUNT))
    bus.publish(PositionsChanged(ACCOUNT))

    assert (await both.take()).events == [BalancesChanged(ACCOUNT), AccountRemoved(ACCOUNT)]
    assert (await one.take()).events == [AccountRemoved(ACCOUNT)]


def test_a_mailbox_asks_for_a_class_once() -> None:
    bus = EventBus()
    mailbox = Mailbox("twice", 10)
    bus.subscribe(mailbox, AccountRemoved)
    with pytest.raises(AssertionError):
        bus.subscribe(mailbox, AccountRemoved)
