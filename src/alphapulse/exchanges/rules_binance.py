"""Rules of Binance: what its answers mean.

Sources, read 2026-11: spot https://developers.binance.com/docs/binance-spot-api-docs/errors,
USD-M https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code; rows marked
"seen" were injected into CCXT 4.5.90.

What precedes acceptance, by https://developers.binance.com/docs/binance-spot-api-docs/rest-api:
4xx is "malformed requests; the issue is on the sender's side", 5xx "must NOT be treated as a
failure; the execution status is UNKNOWN". -1006 and -1007 say the same of themselves; of -1000,
-1001, -1004 and -1008 nothing is promised that holds for both products.
"""

from alphapulse.exchanges.rule import Reaction, Rule

_COMMON = (
    Rule(
        "banned for not slowing down",
        Reaction.WAIT,
        statuses=(418,),
        wait_s=120,  # the shortest ban by the docs
        precedes_acceptance=True,
    ),
    Rule(
        "request weight exceeded",
        Reaction.WAIT,
        statuses=(429,),
        wait_s=60,
        precedes_acceptance=True,
    ),
    Rule("too many requests", Reaction.WAIT, codes=("-1003",), wait_s=60, precedes_acceptance=True),
    Rule("too many orders", Reaction.WAIT, codes=("-1015",), wait_s=10, precedes_acceptance=True),
    Rule("too many connections", Reaction.WAIT, codes=("-1034",), wait_s=300),
    Rule("stopped by the firewall", Reaction.WAIT, statuses=(403,), wait_s=300, source="seen"),
    Rule("internal error", Reaction.RETRY, codes=("-1000", "-1001", "-1006")),
    Rule("backend timed out", Reaction.RETRY, codes=("-1007",)),
    Rule("overloaded", Reaction.RETRY, codes=("-1008",), wait_s=2),
    Rule("busy", Reaction.RETRY, codes=("-1004",)),
    Rule(
        "timestamp outside the window",
        Reaction.CLOCK,
        codes=("-1021",),
        precedes_acceptance=True,
    ),
    Rule("bad signature", Reaction.KEY, codes=("-1022",), precedes_acceptance=True),
    Rule(
        "malformed or unknown key",
        Reaction.KEY,
        codes=("-2014", "-2008"),
        precedes_acceptance=True,
    ),
    # One code for a bad key, address or permission. A key that may not even read is no good.
    Rule(
        "key, address or permission",
        Reaction.KEY,
        codes=("-2015",),
        writing=Reaction.PERMISSION,
        precedes_acceptance=True,
        source="seen",
    ),
    Rule("not authorized", Reaction.PERMISSION, codes=("-1002",), precedes_acceptance=True),
    Rule("listen key is gone", Reaction.RETRY, codes=("-1125",)),
    Rule(
        "market is closed",
        Reaction.SYMBOL,
        codes=("-1013",),
        message="market is closed",
        precedes_acceptance=True,
    ),
    Rule("a filter refused it", Reaction.REJECT, codes=("-1013",), precedes_acceptance=True),
    Rule("unknown symbol", Reaction.SYMBOL, codes=("-1121",), precedes_acceptance=True),
    Rule(
        "malformed parameters",
        Reaction.BUG,
        codes=tuple(str(code) for code in range(-1199, -1099) if code not in {-1121, -1125, -1109}),
        precedes_acceptance=True,
    ),
    Rule(
        "not enough balance",
        Reaction.FUNDS,
        codes=("-2010",),
        message="insufficient",
        precedes_acceptance=True,
    ),
    Rule(
        "client id is in use",
        Reaction.RESOLVE,
        codes=("-2010",),
        message="duplicate",
        is_duplicate=True,
    ),
    Rule(
        "account may not do this",
        Reaction.PERMISSION,
        codes=("-2010",),
        message="on this account",
        precedes_acceptance=True,
        source="seen",
    ),
    Rule(
        "account may not trade this",
        Reaction.PERMISSION,
        codes=("-2010",),
        message="for this account",
        precedes_acceptance=True,
        source="seen",
    ),
    Rule("order refused", Reaction.REJECT, codes=("-2010",), precedes_acceptance=True),
    Rule("no such order", Reaction.ABSENT, codes=("-2011", "-2013")),
    Rule("no trading window", Reaction.SYMBOL, codes=("-2016",), precedes_acceptance=True),
    Rule("archived order", Reaction.REJECT, codes=("-2026",)),
    Rule("amendment refused", Reaction.REJECT, codes=("-2038", "-2039")),
)

BINANCE_SPOT = (
    Rule("replaced in part or not at all", Reaction.RESOLVE, codes=("-2021", "-2022")),
    Rule(
        "cancel refused",
        Reaction.REJECT,
        codes=("-2011",),
        message="not canceled due to cancel restrictions",
    ),
    *_COMMON,
)

BINANCE_USDM = (
    Rule(
        "outside the engine's receive window",
        Reaction.CLOCK,
        codes=("-5028",),
        precedes_acceptance=True,
        source="seen",
    ),
    Rule(
        "not enough balance or margin",
        Reaction.FUNDS,
        codes=("-2018", "-2019"),
        precedes_acceptance=True,
    ),
    Rule(
        "cannot be filled, or in liquidation",
        Reaction.REJECT,
        codes=("-2020", "-2023"),
        precedes_acceptance=True,
    ),
    Rule("would trigger at once", Reaction.REJECT, codes=("-2021",), precedes_acceptance=True),
    Rule(
        "client id is in use",
        Reaction.RESOLVE,
        codes=("-4116",),
        is_duplicate=True,
    ),
    Rule(
        "reduce-only or notional",
        Reaction.REJECT,
        codes=("-2022", "-4164"),
        precedes_acceptance=True,
    ),
    Rule(
        "limit, leverage or price band",
        Reaction.REJECT,
        codes=("-2024", "-2025", "-2027", "-2028", "-4131"),
        precedes_acceptance=True,
    ),
    Rule("is so already", Reaction.DONE, codes=("-4046", "-4059", "-5027")),
    Rule(
        "fill-or-kill or post-only refused",
        Reaction.REJECT,
        codes=("-5021", "-5022"),
        precedes_acceptance=True,
    ),
    Rule(
        "invalid account",
        Reaction.PERMISSION,
        codes=("-1109",),
        precedes_acceptance=True,
    ),
    Rule(
        "conditional order on the wrong path",
        Reaction.BUG,
        codes=("-4120",),
        precedes_acceptance=True,
        source="CCXT",
    ),
    # "40xx: filters and other issues": quantities, prices, leverage, position side, margin type.
    Rule(
        "a filter or setting refused it",
        Reaction.REJECT,
        codes=tuple(str(code) for code in range(-4299, -3999)),
        precedes_acceptance=True,
    ),
    *_COMMON,
)
