"""Call: what a handler of Bybit's REST gets, and the envelope its result goes into."""

from collections.abc import Callable
from dataclasses import dataclass

from alphapulse.simulator.core.account import Account, ApiKey
from alphapulse.simulator.venues.bybit.params import Params
from alphapulse.simulator.venues.bybit.rows import Row
from alphapulse.simulator.venues.face import Answer


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed."""

    key: ApiKey
    account: Account


Public = Callable[[Params], Row]
Private = Callable[[Params, Caller], Row]


class Batch(dict[str, object]):
    """The result of several requests in one, each with a code of its own."""

    def __init__(self, rows: list[Row], outcomes: list[tuple[int, str]]) -> None:
        super().__init__(list=rows)
        self.outcomes: list[Row] = [{"code": code, "msg": text} for code, text in outcomes]


def envelope(code: int, message: str, result: object, now_ms: int) -> Row:
    return {
        "retCode": code,
        "retMsg": message,
        "result": result,
        "retExtInfo": {"list": result.outcomes} if isinstance(result, Batch) else {},
        "time": now_ms,
    }


def answer(
    code: int, message: str, result: object, now_ms: int, headers: dict[str, str] | None = None
) -> Answer:
    """The venue answers with HTTP 200 whatever happened."""
    return Answer.of(
        envelope(code, message, result, now_ms),
        headers={"Timenow": str(now_ms), "Traceid": f"{now_ms:032x}", **(headers or {})},
    )
