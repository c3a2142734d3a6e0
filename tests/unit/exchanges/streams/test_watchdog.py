"""Staleness is the age of data, on the whole and topic by topic."""

from alphapulse.domain.identifiers import Symbol
from alphapulse.exchanges.streams.watchdog import StreamLimits, Topic, Watchdog
from tests.fixtures.clock import HandClock

LIMITS = StreamLimits(silence_s=30, topic_silence_s=120)


def make_topics(*names: str) -> list[Topic]:
    return [Topic(name, Symbol(f"{name}/USDT")) for name in names]


def test_age_is_that_of_the_last_word_of_any_topic(clock: HandClock) -> None:
    one, other = make_topics("A", "B")
    watchdog = Watchdog([one, other], clock, LIMITS)

    clock.advance(10)
    one.heard = True
    assert watchdog.look() == 0
    clock.advance(7)
    assert watchdog.look() == 7
    other.heard = True
    assert watchdog.look() == 0


def test_silent_topic_is_named_once_per_limit(clock: HandClock) -> None:
    talker, silent = make_topics("A", "B")
    watchdog = Watchdog([talker, silent], clock, LIMITS)
    named = []

    for _ in range(30):
        clock.advance(10)
        talker.heard = True
        watchdog.look()
        named.append([topic.name for topic in watchdog.silent_topics()])

    assert [at for at, names in enumerate(named) if names] == [12, 25]
    assert named[12] == ["B"]


def test_naming_a_silent_topic_does_not_make_the_connection_look_alive(clock: HandClock) -> None:
    watchdog = Watchdog(make_topics("A"), clock, LIMITS)

    clock.advance(121)

    assert watchdog.silent_topics()
    assert watchdog.look() == 121
