"""Every row of the venues' tables, through the real CCXT classes: what an answer means."""

from decimal import Decimal
from typing import Any

import pytest

from alphapulse.domain.clock import Clock
from alphapulse.errors import (
    AlphaPulseError,
    AuthenticationFailed,
    ClockSkewed,
    ExchangeError,
    ExchangeUnavailable,
    InstrumentUnavailable,
    InsufficientFunds,
    NotFound,
    OrderOutcomeUnknown,
    OrderRejected,
    PermissionMissing,
    RateLimited,
    RequestRefused,
)
from alphapulse.exchanges.ccxt import loading
from alphapulse.exchanges.ccxt.client import MarketType, purpose
from alphapulse.exchanges.ccxt.errors import Intent, reaction_to
from alphapulse.exchanges.ccxt.transport import Answer, NoAnswer
from alphapulse.exchanges.rule import Reaction
from tests.unit.exchanges.answers import CannedTransport, answer, make_session

HTML = b"<html><body>Attention Required! | Cloudflare</body></html>"

# What reading and placing end in, for each reaction. An order is refused only by a check that the
# venue makes before it accepts one, and only with a code of the venue.
RETRY = (ExchangeUnavailable, OrderOutcomeUnknown)
WAIT = (RateLimited, OrderRejected)
CLOCK = (ClockSkewed, OrderRejected)
KEY = (AuthenticationFailed, OrderRejected)
PERM = (PermissionMissing, OrderRejected)
RESOLVE = (ExchangeUnavailable, OrderOutcomeUnknown)
REJECT = (ExchangeError, OrderRejected)
FUNDS = (ExchangeError, InsufficientFunds)
ABSENT = (NotFound, OrderOutcomeUnknown)
OK = (ExchangeError, OrderOutcomeUnknown)
BUG = (RequestRefused, OrderRejected)
SYMBOL = (InstrumentUnavailable, OrderRejected)
VENUE = (ExchangeUnavailable, OrderOutcomeUnknown)
WAIT_UNPROVED = (RateLimited, OrderOutcomeUnknown)
KEY_UNPROVED = (AuthenticationFailed, OrderOutcomeUnknown)
OF_ANOTHER_ORDER = (ExchangeError, OrderOutcomeUnknown)

Row = tuple[int, Any, tuple[type[AlphaPulseError], type[AlphaPulseError]]]


def said(status: int, code: int, message: str, ends: Any) -> Row:
    return status, {"code": code, "msg": message}, ends


BINANCE: list[Row] = [
    said(429, -1003, "Too many requests; current limit of IP is 6000", WAIT),
    said(418, -1003, "Way too many requests; IP banned until 1795435300000", WAIT),
    (418, b"", WAIT_UNPROVED),
    said(400, -1003, "Too many requests", WAIT),
    said(400, -1015, "Too many new orders; current limit is 100 orders per 10 SECOND.", WAIT),
    said(400, -1034, "Too many connections", WAIT_UNPROVED),
    (403, HTML, WAIT_UNPROVED),
    (451, {"code": 0, "msg": "Service unavailable from a restricted location"}, VENUE),
    said(500, -1000, "An unknown error occurred while processing the request.", RETRY),
    said(500, -1001, "Internal error; unable to process your request.", RETRY),
    said(500, -1006, "An unexpected response was received from the message bus.", RETRY),
    said(503, -1007, "Timeout waiting for response from backend server.", RETRY),
    said(408, -1007, "Timeout waiting for response from backend server.", RETRY),
    said(503, -1008, "Server is currently overloaded with other requests.", RETRY),
    said(400, -1004, "Server is busy, please wait and try again", RETRY),
    *[(status, HTML, RETRY) for status in (500, 502, 503, 520, 504)],
    (200, HTML, RETRY),
    (302, b"", RETRY),
    said(400, -1021, "Timestamp for this request is outside of the recvWindow.", CLOCK),
    said(400, -1022, "Signature for this request is not valid.", KEY),
    said(401, -2014, "API-key format invalid.", KEY),
    said(401, -2008, "Invalid Api-Key ID.", KEY),
    said(
        401,
        -2015,
        "Invalid API-key, IP, or permissions for action.",
        KEY,
    ),
    said(401, -1002, "You are not authorized to execute this request.", PERM),
    said(400, -1125, "This listenKey does not exist.", RETRY),
    said(400, -1013, "Filter failure: NOTIONAL", REJECT),
    said(400, -1013, "Filter failure: MAX_NUM_ORDERS", REJECT),
    said(400, -1013, "Filter failure: LOT_SIZE", REJECT),
    said(400, -1013, "Filter failure: PRICE_FILTER", REJECT),
    said(400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", REJECT),
    said(400, -1013, "Market is closed.", SYMBOL),
    said(400, -1100, "Illegal characters found in a parameter.", BUG),
    said(400, -1102, "Mandatory parameter was not sent.", BUG),
    said(400, -1104, "Not all sent parameters were read.", BUG),
    said(400, -1111, "Precision is over the maximum defined for this asset.", BUG),
    said(400, -1121, "Invalid symbol.", SYMBOL),
    said(400, -2010, "Account has insufficient balance for requested action.", FUNDS),
    said(400, -2010, "Order would immediately match and take.", REJECT),
    said(400, -2010, "Stop price would trigger immediately.", REJECT),
    said(400, -2010, "Duplicate order sent.", RESOLVE),
    said(400, -2010, "This action is disabled on this account.", PERM),
    said(400, -2010, "This symbol is not permitted for this account.", PERM),
    said(400, -2011, "Unknown order sent.", ABSENT),
    said(400, -2013, "Order does not exist.", ABSENT),
    said(400, -2016, "No trading window could be found for the symbol.", SYMBOL),
    said(409, -2021, "Order cancel-replace partially failed.", RESOLVE),
    said(400, -2022, "Order cancel-replace failed.", RESOLVE),
    said(400, -2026, "Order was canceled or expired over 90 days ago.", OF_ANOTHER_ORDER),
    said(400, -2038, "Order amend rejected.", OF_ANOTHER_ORDER),
    said(400, -2039, "Order amend rejected.", OF_ANOTHER_ORDER),
]

BINANCE_USDM: list[Row] = [
    said(400, -5028, "Timestamp for this request is outside of the ME recvWindow.", CLOCK),
    said(400, -2018, "Balance is insufficient.", FUNDS),
    said(400, -2019, "Margin is insufficient.", FUNDS),
    said(400, -2020, "Unable to fill.", REJECT),
    said(400, -2023, "User in liquidation mode now.", REJECT),
    said(400, -2021, "Order would immediately trigger.", REJECT),
    said(400, -2022, "ReduceOnly Order is rejected.", REJECT),
    said(400, -4164, "Order's notional must be no smaller than 5.0.", REJECT),
    said(400, -4116, "ClientOrderId is duplicated.", RESOLVE),
    said(400, -2025, "Reach max open order limit.", REJECT),
    said(400, -2027, "Exceeded the maximum allowable position.", REJECT),
    said(400, -2028, "Leverage is smaller than permitted.", REJECT),
    said(400, -4131, "The counterparty's best price does not meet the PERCENT_PRICE.", REJECT),
    said(400, -4046, "No need to change margin type.", OK),
    said(400, -5021, "Due to the order could not be filled immediately, FOK.", REJECT),
    said(400, -5022, "Due to the order could not be executed as maker, Post Only.", REJECT),
    said(400, -1109, "Invalid account.", PERM),
    said(400, -4120, "Order type not supported for this endpoint.", BUG),
]


def bybit(code: int, ends: Any, message: str = "", status: int = 200) -> Row:
    body = {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": 1}
    return status, body, ends


BYBIT: list[Row] = [
    bybit(10002, CLOCK, "invalid request, please check your server timestamp or recv_window"),
    bybit(10003, KEY, "API key is invalid."),
    bybit(33004, KEY, "Your api key has expired."),
    bybit(10004, KEY, "error sign! please check your signature generation algorithm."),
    *[bybit(code, PERM) for code in (10005, 10010, 10028, 10029)],
    bybit(10007, KEY, "User authentication failed."),
    bybit(10009, WAIT, "IP has been banned"),
    *[bybit(code, PERM) for code in (10008, 10024, 10027)],
    *[bybit(code, WAIT, "Too many visits!") for code in (10006, 10018, 170222, 10429)],
    (403, HTML, WAIT_UNPROVED),
    (429, b"", WAIT_UNPROVED),
    bybit(10000, RETRY, "Server Timeout"),
    bybit(10016, RETRY, "Internal System Error."),
    bybit(170007, RETRY, "Timeout waiting for response from backend server."),
    bybit(170146, RETRY, "Order creation timeout"),
    bybit(170147, RETRY, "Order cancellation timeout"),
    bybit(110079, RETRY, "The order is processing"),
    bybit(10001, BUG, "params error: qty invalid"),
    bybit(10001, SYMBOL, "Not supported symbols"),
    bybit(10014, RETRY, "Invalid duplicate request"),
    bybit(10017, BUG, "Route not found."),
    bybit(170130, BUG, "Data sent for parameter is not valid."),
    bybit(110001, ABSENT, "Order does not exist"),
    bybit(170213, ABSENT, "Order does not exist."),
    *[
        bybit(code, REJECT)
        for code in (110003, 110017, 170124, 170136, 170140, 170193, 170210, 170218, 110094)
    ],
    *[bybit(code, FUNDS) for code in (110004, 110007, 110012, 170131)],
    *[bybit(code, REJECT) for code in (110009, 110020, 170810)],
    *[bybit(code, RESOLVE) for code in (110072, 170141, 110030, 12141)],
    *[bybit(code, OK) for code in (110025, 110026, 110043)],
    (500, HTML, RETRY),
    (502, b"", RETRY),
    (401, b"", KEY_UNPROVED),
]


def rows(*tables: tuple[str, MarketType, list[Row]]) -> list[Any]:
    return [
        pytest.param(exchange, market_type, row, id=f"{exchange}-{market_type}-{row[0]}-{number}")
        for exchange, market_type, table in tables
        for number, row in enumerate(table)
    ]


SIGNED_CALL = {
    "binance": "private_get_account",
    "binanceusdm": "fapiprivate_get_openorders",
    "bybit": "private_get_v5_user_query_api",
}


async def verdict(
    outcome: Answer | NoAnswer, exchange: str, market_type: MarketType, intent: Intent, clock: Clock
) -> BaseException:
    """What the client raises over an answer to some signed request."""
    session = make_session(CannedTransport(default=outcome), clock, exchange=exchange)
    client = session.client(market_type)
    with purpose(intent), pytest.raises(AlphaPulseError) as caught:
        await getattr(client, SIGNED_CALL[client.id])()
    return caught.value


@pytest.mark.parametrize(
    ("exchange", "market_type", "row"),
    rows(
        ("binance", MarketType.SPOT, BINANCE),
        ("binance", MarketType.SWAP, BINANCE_USDM),
        ("bybit", MarketType.SPOT, BYBIT),
    ),
)
async def test_an_answer_means_what_the_table_says(
    exchange: str, market_type: MarketType, row: Row, clock: Clock
) -> None:
    status, body, (reading, writing) = row
    kind = "text/html" if body is HTML else "application/json"
    outcome = answer(body, status=status, content_type=kind)

    read = await verdict(outcome, exchange, market_type, Intent.READ, clock)
    written = await verdict(outcome, exchange, market_type, Intent.PLACE, clock)

    assert type(read) is reading, read
    assert type(written) is writing, written


async def test_binance_bad_key_stays_a_bad_key_after_calls_that_succeeded(clock: Clock) -> None:
    # CCXT then calls -2015 a flood protection, and a revoked key would be retried for ever.
    good = answer({"updateTime": 0, "balances": []})
    revoked = answer({"code": -2015, "msg": "Invalid API-key, IP, or permissions."}, status=401)
    session = make_session(CannedTransport({"/account": [good, revoked]}), clock)
    client = session.client(MarketType.SPOT)
    await client.private_get_account()

    with pytest.raises(AuthenticationFailed):
        await client.private_get_account()


def every_ccxt_error() -> list[type[Exception]]:
    found, waiting = [], [loading.base_error()]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += one.__subclasses__()
    return sorted(found, key=lambda one: one.__name__)


# (reading, placing) as the house's table has it; classes it does not name follow their parents.
CCXT_CLASSES = {
    "AuthenticationError": (Reaction.KEY, Reaction.KEY),
    "PermissionDenied": (Reaction.PERMISSION, Reaction.PERMISSION),
    "AccountNotEnabled": (Reaction.PERMISSION, Reaction.PERMISSION),
    "AccountSuspended": (Reaction.PERMISSION, Reaction.PERMISSION),
    "RateLimitExceeded": (Reaction.WAIT, Reaction.RESOLVE),
    "DDoSProtection": (Reaction.WAIT, Reaction.RESOLVE),
    "InsufficientFunds": (Reaction.FUNDS, Reaction.FUNDS),
    "OrderNotFound": (Reaction.ABSENT, Reaction.ABSENT),
    "InvalidNonce": (Reaction.CLOCK, Reaction.RESOLVE),
    "ChecksumError": (Reaction.CLOCK, Reaction.RESOLVE),
    "BadRequest": (Reaction.BUG, Reaction.RESOLVE),
    "BadSymbol": (Reaction.SYMBOL, Reaction.RESOLVE),
    "MarketClosed": (Reaction.SYMBOL, Reaction.RESOLVE),
    "DuplicateOrderId": (Reaction.BUG, Reaction.RESOLVE),
    "OnMaintenance": (Reaction.VENUE, Reaction.RESOLVE),
    "RestrictedLocation": (Reaction.VENUE, Reaction.RESOLVE),
    "NoChange": (Reaction.DONE, Reaction.DONE),
    "MarginModeAlreadySet": (Reaction.DONE, Reaction.DONE),
    "RequestTimeout": (Reaction.RETRY, Reaction.RESOLVE),
    "NetworkError": (Reaction.RETRY, Reaction.RESOLVE),
    "ExchangeNotAvailable": (Reaction.RETRY, Reaction.RESOLVE),
    "OperationFailed": (Reaction.RETRY, Reaction.RESOLVE),
    "BadResponse": (Reaction.RETRY, Reaction.RESOLVE),
    "NullResponse": (Reaction.RETRY, Reaction.RESOLVE),
    "CancelPending": (Reaction.RETRY, Reaction.RESOLVE),
    "BaseError": (Reaction.RETRY, Reaction.RESOLVE),
    "UnsubscribeError": (Reaction.RETRY, Reaction.RESOLVE),
}


@pytest.mark.parametrize("raised", every_ccxt_error(), ids=lambda one: one.__name__)
def test_every_ccxt_class_has_a_reaction_for_reading_and_for_placing(
    raised: type[Exception],
) -> None:
    expected = CCXT_CLASSES.get(raised.__name__, (Reaction.REJECT, Reaction.RESOLVE))

    assert (reaction_to(raised, Intent.READ), reaction_to(raised, Intent.PLACE)) == expected


def test_no_ccxt_class_turns_a_doubtful_order_into_a_definite_one() -> None:
    definite = {
        Reaction.KEY,
        Reaction.PERMISSION,
        Reaction.FUNDS,
        Reaction.ABSENT,
        Reaction.DONE,
    }
    for raised in every_ccxt_error():
        assert reaction_to(raised, Intent.PLACE) in definite | {Reaction.RESOLVE}


async def test_silence_before_anything_was_sent_is_no_unknown_order(clock: Clock) -> None:
    refused = NoAnswer("the connection was refused", was_sent=False)

    raised = await verdict(refused, "binance", MarketType.SPOT, Intent.PLACE, clock)

    assert type(raised) is ExchangeUnavailable
    assert raised.facts["was_sent"] is False


async def test_silence_after_sending_leaves_an_order_unknown(clock: Clock) -> None:
    silent = NoAnswer("no answer in time", was_sent=True)

    placed = await verdict(silent, "binance", MarketType.SPOT, Intent.PLACE, clock)
    read = await verdict(silent, "binance", MarketType.SPOT, Intent.READ, clock)

    assert type(placed) is OrderOutcomeUnknown
    assert type(read) is ExchangeUnavailable


@pytest.mark.parametrize("status", [418, 429])
async def test_rate_limit_of_an_unknown_venue_proves_nothing_about_an_order(
    status: int, clock: Clock
) -> None:
    session = make_session(
        CannedTransport(default=answer({}, status=status)), clock, exchange="okx"
    )
    client = session.client(MarketType.SPOT)

    with purpose(Intent.PLACE), pytest.raises(OrderOutcomeUnknown):
        await client.private_get_account_balance()


async def test_an_error_holds_what_the_venue_said_and_no_secret(clock: Clock) -> None:
    message = "error sign! origin_string[1795435200000the-api-key5000the-api-secret]"
    outcome = answer({"retCode": 10004, "retMsg": message, "result": {}})

    raised = await verdict(outcome, "bybit", MarketType.SPOT, Intent.READ, clock)

    assert isinstance(raised, AuthenticationFailed)
    assert raised.facts["venue_code"] == "10004"
    told = f"{raised} {raised!r} {raised.facts} {raised.__cause__} {raised.__context__}"
    assert "error sign!" in told
    for secret in ("the-api-key", "the-api-secret", "the-passphrase", "signature", "https://"):
        assert secret not in told


async def test_an_error_that_ccxt_makes_holds_no_address(clock: Clock) -> None:
    outcome = answer({"code": -9999, "msg": "Something new."}, status=400)

    raised = await verdict(outcome, "binance", MarketType.SPOT, Intent.READ, clock)

    assert isinstance(raised, ExchangeError)
    assert raised.facts["venue_message"] == "Something new."
    assert raised.__cause__ is None
    assert raised.__context__ is None


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (answer({"code": -1003}, status=429, headers={"Retry-After": "7"}), 7.0),
        (answer({"code": -1003, "msg": "banned until 1795435290000."}, status=418), 90.0),
        (answer(b"", status=418), 120.0),
    ],
    ids=["Retry-After", "until in the text", "the shortest ban"],
)
async def test_a_ban_says_how_long_and_nothing_is_sent_until_then(
    outcome: Answer, seconds: float, clock: Any
) -> None:
    transport = CannedTransport(default=outcome)
    client = make_session(transport, clock).client(MarketType.SPOT)
    with pytest.raises(RateLimited) as first:
        await client.private_get_account()
    assert first.value.retry_after_s == pytest.approx(seconds)

    clock.advance(seconds - 0.5)
    with pytest.raises(RateLimited) as second:
        await client.private_get_account()
    assert second.value.retry_after_s == pytest.approx(0.5)
    assert len(transport.sent) == 1

    clock.advance(1)
    with pytest.raises(RateLimited):
        await client.private_get_account()
    assert len(transport.sent) == 2


async def test_bybit_names_the_moment_its_limit_resets(clock: Any) -> None:
    reset_ms = int(clock.now().timestamp() * 1000) + 2500
    outcome = answer(
        {"retCode": 10006, "retMsg": "Too many visits!", "result": {}},
        headers={"X-Bapi-Limit-Reset-Timestamp": str(reset_ms)},
    )

    raised = await verdict(outcome, "bybit", MarketType.SPOT, Intent.READ, clock)

    assert isinstance(raised, RateLimited)
    assert raised.retry_after_s == pytest.approx(2.5)


async def test_bybit_s_limit_of_a_key_holds_up_that_endpoint_for_as_long_as_the_venue_counts(
    clock: Any,
) -> None:
    # The venue's clock is an hour ahead of ours; only its own two times can be subtracted.
    venue_ms = int(clock.now().timestamp() * 1000) + 3_600_000
    refused = answer(
        {"retCode": 10006, "retMsg": "Too many visits!", "result": {}},
        headers={
            "X-Bapi-Limit": "50",
            "X-Bapi-Limit-Status": "0",
            "X-Bapi-Limit-Reset-Timestamp": str(venue_ms + 800),
            "Timenow": str(venue_ms),
        },
    )
    fine = answer({"retCode": 0, "retMsg": "OK", "result": {"list": []}})
    transport = CannedTransport({"/v5/execution/list": refused}, default=fine)
    session = make_session(transport, clock, exchange="bybit")
    client = session.client(MarketType.SPOT)

    with pytest.raises(RateLimited) as caught:
        await client.private_get_v5_execution_list()
    assert caught.value.retry_after_s == pytest.approx(0.8)
    with pytest.raises(RateLimited):
        await session.client(MarketType.SWAP).private_get_v5_execution_list()

    assert len(transport.sent_to("/v5/execution/list")) == 1
    await client.private_get_v5_account_wallet_balance()
    assert session.budget_used < Decimal("0.1")


async def test_bybit_s_limit_of_an_address_holds_up_everything(clock: Any) -> None:
    told = {"X-Bapi-Limit-Reset-Timestamp": str(int(clock.now().timestamp() * 1000))}
    refused = answer({"retCode": 10018, "retMsg": "Too many", "result": {}}, headers=told)
    transport = CannedTransport(default=refused)
    client = make_session(transport, clock, exchange="bybit").client(MarketType.SPOT)

    with pytest.raises(RateLimited) as caught:
        await client.private_get_v5_execution_list()
    assert caught.value.retry_after_s == pytest.approx(5)  # the header says nothing of this limit
    clock.advance(4)
    with pytest.raises(RateLimited):
        await client.private_get_v5_account_wallet_balance()

    assert len(transport.sent) == 1
