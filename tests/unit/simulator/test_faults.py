"""The fault script: who is struck, how often, and in which order."""

import pytest
from pydantic import ValidationError

from alphapulse.simulator.faults.fault import Match, Occasion, When
from alphapulse.simulator.faults.menu import MENU
from alphapulse.simulator.faults.requests import Garbled, Status, Timeout
from alphapulse.simulator.faults.script import FAULT, FAULTS_MAX, FaultScript
from alphapulse.simulator.faults.streams import FrozenStream, LostFrame


def make_occasion(
    venue: str = "bybit",
    path: str = "/v5/market/time",
    method: str = "GET",
    account: str = "",
    symbol: str = "",
    topic: str = "",
) -> Occasion:
    return Occasion(venue, f"api.{venue}.com", path, method, account, symbol, topic)


def test_fault_strikes_count_times_and_is_spent() -> None:
    script = FaultScript(faults=[Status(status=503, count=2)])

    struck = [bool(script.on_request(make_occasion())) for _ in range(4)]

    assert struck == [True, True, False, False]
    assert script.entries[0].is_spent


def test_fault_without_count_strikes_until_removed() -> None:
    script = FaultScript()
    entry = script.add(Status(status=503, count=None))

    assert all(script.on_request(make_occasion()) for _ in range(50))
    assert script.remove(entry.id)
    assert not script.on_request(make_occasion())
    assert not script.remove(entry.id)


def test_fault_skips_the_first_occasions() -> None:
    script = FaultScript(faults=[Status(status=503, skip=2)])

    assert [bool(script.on_request(make_occasion())) for _ in range(4)] == [
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("match", "strikes"),
    [
        (Match(), True),
        (Match(venue="bybit", path="/v5/order/*", method="POST"), True),
        (Match(account="main", symbol="BTC*"), True),
        (Match(venue="binance"), False),
        (Match(method="GET"), False),
        (Match(account="second"), False),
        (Match(symbol="ETHUSDT"), False),
        (Match(host="stream.bybit.com"), False),
    ],
)
def test_match_names_whom_it_strikes(match: Match, strikes: bool) -> None:
    script = FaultScript(faults=[Garbled(match=match)])
    occasion = make_occasion(
        path="/v5/order/create", method="POST", account="main", symbol="BTCUSDT"
    )

    assert bool(script.on_request(occasion)) is strikes


def test_probability_is_the_same_sequence_for_the_same_seed() -> None:
    def sequence(seed: int) -> list[bool]:
        script = FaultScript(seed, [Status(status=500, count=None, probability=0.5)])
        return [bool(script.on_request(make_occasion())) for _ in range(64)]

    assert sequence(1) == sequence(1)
    assert sequence(1) != sequence(2)
    assert 16 < sum(sequence(1)) < 48


def test_stream_faults_strike_frames_and_request_faults_requests() -> None:
    script = FaultScript(faults=[LostFrame(match=Match(topic="orderbook*")), Status(status=500)])

    assert script.on_frame(make_occasion(topic="tickers.BTCUSDT")) == ()
    assert script.on_frame(make_occasion(topic="orderbook.50.BTCUSDT")) == (
        LostFrame(match=Match(topic="orderbook*")),
    )
    assert script.on_request(make_occasion()) == (Status(status=500),)


def test_accept_then_time_out_strikes_after_execution() -> None:
    script = FaultScript()
    script.accept_then_time_out(next_orders=1)

    assert script.on_request(make_occasion()) == ()
    (struck,) = script.on_request(make_occasion(path="/v5/order/create", method="POST"))
    assert isinstance(struck, Timeout)
    assert struck.when is When.AFTER


def test_fault_reads_from_json_by_kind() -> None:
    fault = FAULT.validate_json('{"kind": "frozen_stream", "match": {"venue": "bybit"}}')

    assert fault == FrozenStream(match=Match(venue="bybit"))


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "meteor"}',
        '{"kind": "status", "status": 42}',
        '{"kind": "status", "status": 500, "unknown": 1}',
        '{"kind": "timeout", "count": 0}',
    ],
)
def test_fault_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        FAULT.validate_json(text)


def test_script_is_bounded() -> None:
    script = FaultScript(faults=[Status(status=500)] * FAULTS_MAX)

    with pytest.raises(ValueError, match="more than"):
        script.add(Status(status=500))


def test_every_kind_is_on_the_menu() -> None:
    offered = {dish.fault.kind for dishes in MENU.values() for dish in dishes}

    assert offered == set(FAULT.json_schema()["discriminator"]["mapping"])
