"""Error tracking: the cause in one line, and a count of each kind."""

from alphapulse.errors import ExchangeUnavailable, RateLimited
from alphapulse.observability import metrics
from alphapulse.observability.error_tracking import count, describe


def counted(kind: str) -> float:
    return metrics.ERRORS.labels(kind)._value.get()  # type: ignore[no-any-return]


def test_an_error_is_described_by_class_message_and_facts() -> None:
    error = ExchangeUnavailable("no answer", exchange="binance", http_status=502)
    text = "ExchangeUnavailable: no answer (exchange=binance, http_status=502)"
    assert describe(error) == text
    assert describe(KeyError()) == "KeyError"


def test_a_group_is_described_by_what_is_in_it() -> None:
    inner = ExceptionGroup("tasks", [ValueError("one"), RateLimited("two")])
    assert describe(ExceptionGroup("outer", [inner])) == "ValueError: one; RateLimited: two"


def test_a_description_holds_no_secret() -> None:
    assert "abc123" not in describe(OSError("GET /?signature=abc123 refused"))


def test_errors_are_counted_by_code_others_by_class_groups_by_member() -> None:
    before = counted("exchange_unavailable"), counted("ZeroDivisionError")
    count(ExceptionGroup("both", [ExchangeUnavailable("gone"), ZeroDivisionError()]))
    count(ZeroDivisionError())
    after = counted("exchange_unavailable"), counted("ZeroDivisionError")
    assert (after[0] - before[0], after[1] - before[1]) == (1, 2)
