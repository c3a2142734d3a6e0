"""The outcome matrix: whatever an exchange answers to an order, through the real CCXT.

No success without an id of the venue's and our name; no definitive verdict from an answer that
proves nothing; one request for one order, whatever comes back.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.order import Order, OrderStatus, OrderType, TimeInForce
from alphapulse.errors import (
    AlphaPulseError,
    InsufficientFunds,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRejected,
)
from alphapulse.exchanges import venues
from alphapulse.exchanges.ccxt import trading
from alphapulse.exchanges.ccxt.transport import NoAnswer
from alphapulse.exchanges.rule import Rule
from tests.unit.exchanges.answers import answer
from tests.unit.exchanges.connectors import (
    CONNECTORS,
    NAME,
    SPOT,
    Connector,
    Outcome,
    limit_order,
    sent_fields,
)

HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"

# None of these says whether the order exists.
DOUBTFUL: dict[str, Callable[[Connector], Outcome]] = {
    "html": lambda _: answer(HTML, content_type="text/html"),
    "html said to be json": lambda _: answer(HTML),
    "cut json": lambda c: answer(c.accepted().body[:-9]),
    "half of it": lambda c: answer(c.accepted().body[: len(c.accepted().body) // 2]),
    "empty": lambda _: answer(b""),
    "empty object": lambda _: answer({}),
    "empty list": lambda _: answer([]),
    "null": lambda _: answer(None),
    "a word": lambda _: answer("ok"),
    "a number": lambda _: answer(1795435200000),
    "true": lambda _: answer(True),
    "not utf-8": lambda _: answer(b'{"result": "\xff\xfe"}'),
    "nested without end": lambda _: answer(b"[" * 5000),
    "a list of nothing": lambda _: answer([None]),
    "a list of numbers": lambda _: answer([1, 2, 3]),
    "good, but said to be html": lambda c: c.accepted(content_type="text/html"),
    "good, twice over": lambda c: answer(c.accepted().body * 2),
    "no id": lambda c: c.changed(c.id_at, ...),
    "id is null": lambda c: c.changed(c.id_at, None),
    "id is empty": lambda c: c.changed(c.id_at, ""),
    "good, with an error status": lambda c: c.accepted(status=500),
    "redirected": lambda _: answer(b"", status=302, headers={"Location": "https://a.example/"}),
    "redirected for good": lambda _: answer(b"", status=308),
    "redirected, with a good body": lambda c: c.accepted(status=307),
    "not modified": lambda _: answer(b"", status=304),
    "bad request, html": lambda _: answer(HTML, status=400, content_type="text/html"),
    "bad request, empty": lambda _: answer(b"", status=400),
    "not authorized, empty": lambda _: answer(b"", status=401),
    "not authorized, html": lambda _: answer(HTML, status=401, content_type="text/html"),
    "forbidden, html": lambda _: answer(HTML, status=403, content_type="text/html"),
    "forbidden, empty": lambda _: answer(b"", status=403),
    "not found": lambda _: answer(HTML, status=404, content_type="text/html"),
    "timed out there": lambda _: answer(b"", status=408),
    "conflict": lambda _: answer({}, status=409),
    "teapot": lambda _: answer(b"", status=418),
    "too many, html": lambda _: answer(HTML, status=429, content_type="text/html"),
    "too many, empty": lambda _: answer(b"", status=429),
    "from this country": lambda _: answer(HTML, status=451, content_type="text/html"),
    "broken": lambda _: answer(b"", status=500),
    "bad gateway": lambda _: answer(HTML, status=502, content_type="text/html"),
    "unavailable": lambda _: answer(HTML, status=503, content_type="text/html"),
    "unavailable, json": lambda _: answer({"message": "Service Unavailable"}, status=503),
    "gateway timed out": lambda _: answer(b"", status=504),
    "cloudflare": lambda _: answer(HTML, status=520, content_type="text/html"),
    "cloudflare, origin down": lambda _: answer(b"", status=521),
    "no answer in time": lambda _: NoAnswer("no answer in time", was_sent=True),
    "reset": lambda _: NoAnswer("the connection broke", was_sent=True),
    "cut off": lambda _: NoAnswer("the answer was cut off", was_sent=True),
    "too large": lambda _: NoAnswer("the answer is too large", was_sent=True),
    "a fault of the client": lambda _: RuntimeError("Session is closed"),
    "a refusal nobody knows": lambda c: answer(c.unknown[1], status=c.unknown[0]),
}


def more_doubtful(connector: Connector) -> dict[str, Outcome]:
    """What only some can say: another order, a duplicate, a refusal by a broken venue."""
    found: dict[str, Outcome] = {
        f"another {what}": connector.changed(at, wrong)
        for what, (at, wrong) in connector.echoes.items()
    }
    if connector.name_at is not None:
        found["another name"] = connector.changed(connector.name_at, "somebody-else")
        found["a name cut short"] = connector.changed(connector.name_at, connector.spelled()[:-1])
    if connector.duplicate is not None:
        status, payload = connector.duplicate
        found["duplicate"] = answer(payload, status=status)
    for status, payload in connector.doubtful:
        found[f"doubtful {payload}"] = answer(payload, status=status)
    if connector.funds is not None:
        found["a refusal by a broken venue"] = answer(connector.funds[1], status=500)
    return found


async def outcome_of(
    connector: Connector, outcome: Outcome, clock: Clock
) -> tuple[Order | AlphaPulseError, int]:
    """What one answer to one order becomes, and how many times the order was sent."""
    exchange, transport = connector.open(clock)
    transport.outcome = outcome
    try:
        result: Order | AlphaPulseError = await exchange.create_order(
            limit_order(connector.symbol), NAME
        )
    except AlphaPulseError as error:
        result = error
    return result, len(transport.orders)


async def false_verdicts(connector: Connector, clock: Clock) -> list[str]:
    """Every answer that proves nothing and yet became a success, or a refusal."""
    doubtful = {label: make(connector) for label, make in DOUBTFUL.items()}
    wrong = []
    for label, outcome in (doubtful | more_doubtful(connector)).items():
        result, sent = await outcome_of(connector, outcome, clock)
        if type(result) is not OrderOutcomeUnknown:
            wrong.append(f"{label}: {result!r}")
        if sent != 1:
            wrong.append(f"{label}: sent {sent} times")
    return wrong


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda one: one.name)
async def test_an_answer_that_proves_nothing_leaves_the_order_unknown(
    connector: Connector, clock: Clock
) -> None:
    assert len(DOUBTFUL) >= 40
    assert await false_verdicts(connector, clock) == []


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda one: one.name)
async def test_a_good_answer_is_an_order_with_the_venue_s_id_and_our_name(
    connector: Connector, clock: Clock
) -> None:
    placed, sent = await outcome_of(connector, connector.accepted(), clock)

    assert isinstance(placed, Order), placed
    assert placed.exchange_order_id == "4711"
    assert placed.client_order_id == NAME
    assert placed.status is OrderStatus.OPEN
    assert sent == 1


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda one: one.name)
async def test_what_is_sent_is_digit_for_digit_what_was_asked(
    connector: Connector, clock: Clock
) -> None:
    exchange, transport = connector.open(clock)
    transport.outcome = connector.accepted()

    await exchange.create_order(limit_order(connector.symbol), NAME)

    said = sent_fields(transport.orders[0])
    for text in ("0.00123", "95123.45", connector.spelled()):
        assert f'"{text}"' in said or f"={text}" in said, said


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda one: one.name)
async def test_a_refusal_in_the_venue_s_own_words_is_one(
    connector: Connector, clock: Clock
) -> None:
    assert connector.funds is not None
    status, payload = connector.funds

    refused, sent = await outcome_of(connector, answer(payload, status=status), clock)

    assert type(refused) is InsufficientFunds, refused
    assert sent == 1


@pytest.mark.parametrize(
    "connector", [c for c in CONNECTORS if c.duplicate], ids=lambda one: one.name
)
async def test_a_duplicate_says_that_it_is_there_already(
    connector: Connector, clock: Clock
) -> None:
    assert connector.duplicate is not None
    status, payload = connector.duplicate

    told, _ = await outcome_of(connector, answer(payload, status=status), clock)

    assert isinstance(told, OrderOutcomeUnknown)
    assert told.facts["is_duplicate"] is True


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda one: one.name)
async def test_no_byte_left_is_not_sent(connector: Connector, clock: Clock) -> None:
    refused = NoAnswer("the connection was refused", was_sent=False)

    result, _ = await outcome_of(connector, refused, clock)

    assert type(result) is OrderNotSent, result


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda one: one.name)
async def test_what_the_venue_does_not_have_is_refused_before_anything_is_sent(
    connector: Connector, clock: Clock
) -> None:
    exchange, transport = connector.open(clock)
    transport.outcome = connector.accepted()
    kinds = exchange.order_profile_of(connector.symbol)
    odd = [
        replace(limit_order(connector.symbol), symbol=Symbol("NO/SUCH")),
        replace(limit_order(connector.symbol), type=OrderType.OTHER),
    ]
    if not kinds.has_attached_exits:
        odd.append(replace(limit_order(connector.symbol), take_profit=Decimal(99_999)))
    if not kinds.has_gtd:
        odd.append(replace(limit_order(connector.symbol), time_in_force=TimeInForce.GTD))

    for request in odd:
        with pytest.raises(OrderRejected):
            await exchange.create_order(request, NAME)

    assert transport.orders == []


async def test_an_exchange_whose_names_we_do_not_know_is_not_traded_on(clock: Clock) -> None:
    kraken = Connector("kraken", "kraken", "/AddOrder", lambda *_: {}, (), None)
    exchange, transport = kraken.open(clock)

    with pytest.raises(OrderRejected):
        await exchange.create_order(limit_order(SPOT), NAME)

    assert not exchange.capabilities.trading
    assert exchange.order_profile.types == frozenset()
    assert transport.orders == []


async def test_a_cancellation_during_the_send_is_left_to_the_sender(clock: Clock) -> None:
    exchange, transport = CONNECTORS[0].open(clock)
    transport.outcome = asyncio.CancelledError()

    with pytest.raises(asyncio.CancelledError):
        await exchange.create_order(limit_order(SPOT), NAME)


# Negative controls: each takes away one of the checks, and the matrix must see it.


def forget_duplicates(rules: Sequence[Rule]) -> Sequence[Rule]:
    return [one for one in rules if not one.is_duplicate]


def believe_every_code(rules: Sequence[Rule]) -> Sequence[Rule]:
    return [replace(one, precedes_acceptance=True) for one in rules]


@pytest.mark.parametrize("mutate", [forget_duplicates, believe_every_code])
async def test_the_matrix_sees_a_table_that_is_wrong(
    mutate: Callable[[Sequence[Rule]], Sequence[Rule]],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = venues.PROFILES["binance"]
    wrong = replace(known, rules=tuple(mutate(known.rules)))
    monkeypatch.setattr(venues, "PROFILES", {**venues.PROFILES, "binance": wrong})

    assert await false_verdicts(CONNECTORS[0], clock) != []


@pytest.mark.parametrize("check", ["echoed", "verdict"])
async def test_the_matrix_sees_a_check_that_is_missing(
    check: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trading, check, lambda given, *_: given)

    assert await false_verdicts(CONNECTORS[0], clock) != []
