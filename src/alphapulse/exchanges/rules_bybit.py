"""Rules of Bybit v5: what its return codes mean.

Source: https://bybit-exchange.github.io/docs/v5/error, read 2026-11; marked rows are from memory.

What precedes acceptance: the gateway checks time, key, signature, permission, parameters and rates
(10001 to 10029) before the trading engine sees a request; the engine's refusals of a create
(1100xx, 1701xx) are answers in place of an order id. 10000, 10016, 170007 and 170146 are time-outs
behind the gateway, and 170149 ("create order failed") says nothing of what became of it.
"""

from alphapulse.exchanges.rule import Reaction, Rule

BYBIT = (
    Rule(
        "timestamp outside the window",
        Reaction.CLOCK,
        codes=("10002",),
        precedes_acceptance=True,
    ),
    Rule(
        "invalid or expired key",
        Reaction.KEY,
        codes=("10003", "33004", "10004", "10007"),
        precedes_acceptance=True,
    ),
    Rule(
        "permission, address or account type",
        Reaction.PERMISSION,
        codes=("10005", "10010", "10028", "10029"),
        precedes_acceptance=True,
    ),
    Rule(
        "address is banned",
        Reaction.WAIT,
        codes=("10009",),
        wait_s=600,
        precedes_acceptance=True,
    ),
    Rule(
        "account is banned",
        Reaction.PERMISSION,
        codes=("10008", "10024", "10027"),
        precedes_acceptance=True,
    ),
    Rule(
        "too many visits",
        Reaction.WAIT,
        codes=("10006", "170222"),
        wait_s=1,
        is_of_endpoint=True,
        precedes_acceptance=True,
    ),
    Rule(
        "too many visits of this address",
        Reaction.WAIT,
        codes=("10018",),
        wait_s=5,
        precedes_acceptance=True,
    ),
    Rule(
        "system-wide limit",
        Reaction.WAIT,
        codes=("10429",),
        wait_s=5,
        precedes_acceptance=True,
    ),
    Rule("address is too fast", Reaction.WAIT, statuses=(403,), wait_s=600, source="memory"),
    Rule("too many requests", Reaction.WAIT, statuses=(429,), wait_s=5),
    Rule("server timed out or restarts", Reaction.RETRY, codes=("10000", "10016")),
    Rule("backend timed out", Reaction.RETRY, codes=("170007",)),
    Rule("placing or canceling timed out", Reaction.RETRY, codes=("170146", "170147")),
    Rule("order is busy", Reaction.RETRY, codes=("110079",), writing=Reaction.RETRY),
    Rule("request was sent twice", Reaction.RETRY, codes=("10014",)),
    Rule(
        "unknown symbol",
        Reaction.SYMBOL,
        codes=("10001",),
        message="symbol",
        precedes_acceptance=True,
        source="memory",
    ),
    Rule("unknown symbol", Reaction.SYMBOL, codes=("170121",), precedes_acceptance=True),
    Rule(
        "market is closed",
        Reaction.SYMBOL,
        codes=("110066", "170151", "170157", "170159"),
        precedes_acceptance=True,
    ),
    Rule(
        "malformed parameters",
        Reaction.BUG,
        codes=("10001", "10017", "170115", "170116", "170117", "170130", "170202", "170204"),
        precedes_acceptance=True,
    ),
    # The second ones: it has ended, and is no longer there to be canceled.
    Rule(
        "no such order",
        Reaction.ABSENT,
        codes=("110001", "170213", "110008", "110010", "170139", "170142", "170143"),
    ),
    Rule(
        "price, quantity, value or post-only",
        Reaction.REJECT,
        codes=(
            *("110003", "110017", "110094", "170124", "170132", "170133", "170134", "170135"),
            *("170136", "170137", "170140", "170193", "170194", "170210", "170217", "170218"),
        ),
        precedes_acceptance=True,
    ),
    Rule(
        "would trigger at once",
        Reaction.REJECT,
        codes=("110092", "110093"),
        precedes_acceptance=True,
    ),
    Rule(
        "risk limit, or only closing is allowed",
        Reaction.REJECT,
        codes=("110011", "110013", "110021", "110022", "110023", "110032", "110040", "110047"),
        precedes_acceptance=True,
    ),
    Rule(
        "not enough balance or margin",
        Reaction.FUNDS,
        codes=(
            *("110004", "110007", "110012", "110044", "110045", "110051", "110052"),
            *("170033", "170131"),
        ),
        precedes_acceptance=True,
    ),
    Rule(
        "too many orders",
        Reaction.REJECT,
        codes=("110009", "110020", "170005", "170810"),
        precedes_acceptance=True,
    ),
    Rule(
        "client id is in use",
        Reaction.RESOLVE,
        codes=("110072", "170141", "110030", "12141"),
        is_duplicate=True,
    ),
    Rule("is so already", Reaction.DONE, codes=("110025", "110026", "110043", "3400045", "34040")),
    Rule("not authorized", Reaction.KEY, statuses=(401,)),
)
