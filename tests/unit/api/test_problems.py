"""What errors look like to a client."""

import json

import pytest

from alphapulse import errors
from alphapulse.api import problems
from alphapulse.api.problems import kind_of, problem_of, registry
from alphapulse.domain.account import UNKNOWN_PERMISSIONS, KeyCheck, KeyStep


def every_error() -> list[type[errors.AlphaPulseError]]:
    def children(root: type[errors.AlphaPulseError]) -> list[type[errors.AlphaPulseError]]:
        return [root, *(each for child in root.__subclasses__() for each in children(child))]

    return children(errors.AlphaPulseError)


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_has_a_code_a_status_a_title_and_a_fix(
    error: type[errors.AlphaPulseError],
) -> None:
    kind = kind_of(error)

    assert registry()[kind.code].code == error.code
    assert 400 <= kind.status <= 599
    assert kind.title.endswith(".")
    assert kind.fix.endswith(".")


def test_codes_are_unique() -> None:
    codes = [error.code for error in every_error()]

    assert len(codes) == len(set(codes))


def test_an_error_says_which_field_and_how_long_to_wait() -> None:
    error = errors.TooManyRequests("too many requests", retry_after_s=1.2, field="username")

    said = json.loads(problem_of(error, path="/api/x", request_id="r").encode())

    assert (said["status"], said["code"], said["retry_after_s"]) == (429, "rate_limited", 2)
    assert said["errors"][0]["pointer"] == "/username"
    assert said["type"] == "/docs/errors#rate_limited"


def test_a_refused_key_names_the_step_that_failed() -> None:
    check = KeyCheck(
        (
            KeyStep("reach", is_ok=True, detail="2 instruments"),
            KeyStep("balances", is_ok=False, detail="no such key", error_code="key_invalid"),
        ),
        UNKNOWN_PERMISSIONS,
        None,
    )

    shown = problem_of(errors.KeyRefused("refused", check=check), path="/", request_id="r")

    assert [(e.code, e.detail) for e in shown.errors] == [("key_invalid", "balances: no such key")]


def test_the_venues_own_words_are_kept_and_nothing_else_of_the_facts() -> None:
    error = errors.OrderRejected(
        "refused", exchange="binance", venue_code=-2010, venue_message="no money", secret="s3cret"
    )

    body = problem_of(error, path="/", request_id="r").encode()

    assert json.loads(body)["cause"] == {
        "exchange": "binance",
        "venue_code": "-2010",
        "venue_message": "no money",
    }
    assert b"s3cret" not in body


def test_a_401_says_how_to_authenticate() -> None:
    shown = problem_of(errors.Unauthenticated("who"), path="/", request_id="r")

    assert (b"www-authenticate", b'Bearer realm="alphapulse"') in shown.headers


def test_http_kinds_do_not_take_the_codes_of_errors() -> None:
    assert problems.NO_SUCH_PATH.code not in {error.code for error in every_error()}
