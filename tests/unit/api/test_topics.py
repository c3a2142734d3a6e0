"""Who is sent what over the WebSocket, and under which number."""

import json
from functools import partial
from typing import Any

from alphapulse.api.websocket.channels import channel
from alphapulse.api.websocket.frames import text_frame
from alphapulse.api.websocket.topics import Client, Row, Topic
from alphapulse.services.viewer import NOBODY

TS = "2026-11-23T12:00:00.000Z"


class Paper:
    """A connection that keeps what it was sent, until it is full."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.is_full = False
        self.is_drained = True

    def write_frame(self, frame: bytes) -> bool:
        if not self.is_full:
            self.frames.append(frame)
        return not self.is_full

    def disconnect(self, code: int, reason: str) -> None:
        raise AssertionError("nobody asked for that")

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(frame[frame.index(b"{") :]) for frame in self.frames]


def client() -> tuple[Client, Paper]:
    paper = Paper()
    return Client("c", "s", NOBODY, frozenset(), paper), paper


def rows(**states: int) -> list[Row]:
    return [Row(name, state, partial(_row, name, state)) for name, state in states.items()]


def _row(name: str, state: int) -> bytes:
    return json.dumps({"id": name, "state": state}).encode()


def topic() -> Topic:
    return Topic(channel("tickers"), NOBODY)


def test_a_newcomer_gets_everything_under_zero() -> None:
    listener, paper = client()

    topic().join(listener, rows(a=1, b=2), TS)

    (snapshot,) = paper.messages
    assert (snapshot["type"], snapshot["ch"], snapshot["seq"]) == ("snapshot", "tickers", 0)
    assert [row["id"] for row in snapshot["data"]] == ["a", "b"]


def test_only_what_differs_is_sent_and_what_is_gone_is_named() -> None:
    listener, paper = client()
    shared = topic()
    shared.join(listener, rows(a=1, b=2, c=3), TS)

    shared.publish(rows(a=1, b=5), TS)

    delta = paper.messages[-1]
    assert (delta["type"], delta["seq"]) == ("delta", 1)
    assert delta["data"] == [{"id": "b", "state": 5}, {"id": "c", "gone": True}]


def test_nothing_is_sent_when_nothing_differs() -> None:
    listener, paper = client()
    shared = topic()
    shared.join(listener, rows(a=1), TS)

    shared.publish(rows(a=1), TS)

    assert len(paper.frames) == 1


def test_each_connection_counts_from_its_own_snapshot() -> None:
    early, early_paper = client()
    late, late_paper = client()
    shared = topic()
    shared.join(early, rows(a=1), TS)
    shared.publish(rows(a=2), TS)
    shared.join(late, rows(a=2), TS)

    shared.publish(rows(a=3), TS)

    assert [message["seq"] for message in early_paper.messages] == [0, 1, 2]
    assert [message["seq"] for message in late_paper.messages] == [0, 1]


def test_clients_who_were_sent_the_same_share_one_frame() -> None:
    first, first_paper = client()
    second, second_paper = client()
    shared = topic()
    shared.join(first, rows(a=1), TS)
    shared.join(second, rows(a=1), TS)

    shared.publish(rows(a=2), TS)

    assert first_paper.frames[-1] is second_paper.frames[-1]


def test_a_client_that_is_too_slow_is_left_out_and_holds_up_nobody() -> None:
    slow, slow_paper = client()
    quick, quick_paper = client()
    shared = topic()
    shared.join(slow, rows(a=1), TS)
    shared.join(quick, rows(a=1), TS)
    slow_paper.is_full = True

    assert shared.publish(rows(a=2), TS) == [slow]
    shared.publish(rows(a=3), TS)

    assert slow.lost == {"tickers": "slow_consumer"}
    assert [message["seq"] for message in quick_paper.messages] == [0, 1, 2]
    assert len(slow_paper.frames) == 1


def test_a_topic_nobody_listens_to_is_deserted() -> None:
    listener, _ = client()
    shared = topic()
    shared.join(listener, rows(a=1), TS)
    assert not shared.is_deserted

    listener.leave("tickers")

    assert shared.is_deserted


def test_frames_of_every_length_carry_their_length() -> None:
    for size, header in ((5, 2), (125, 2), (126, 4), (65535, 4), (65536, 10)):
        frame = text_frame(b"x" * size)
        assert len(frame) == size + header
        assert frame[0] == 0x81
