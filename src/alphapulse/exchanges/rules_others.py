"""Rules of the other exchanges that are traded on: the refusals of an order that are definite.

Only codes that are checks of the order itself, or of the request before it; every other answer to
an order leaves its fate unknown. Source: the tables of CCXT 4.5.90, whose comments quote each
venue's own words (``exceptions`` in ``ccxt/async_support/<exchange>.py``), read 2026-11.
"""

from collections.abc import Mapping, Sequence

from alphapulse.exchanges.rule import Reaction, Rule


def _rules(
    *,
    funds: Sequence[str] = (),
    rejects: Sequence[str] = (),
    keys: Sequence[str] = (),
    clock: Sequence[str] = (),
    duplicates: Sequence[str] = (),
    absent: Sequence[str] = (),
) -> tuple[Rule, ...]:
    rows = (
        Rule("not enough balance", Reaction.FUNDS, tuple(funds), precedes_acceptance=True),
        Rule("order refused", Reaction.REJECT, tuple(rejects), precedes_acceptance=True),
        Rule("invalid key or signature", Reaction.KEY, tuple(keys), precedes_acceptance=True),
        Rule("timestamp too far off", Reaction.CLOCK, tuple(clock), precedes_acceptance=True),
        Rule("client id is in use", Reaction.RESOLVE, tuple(duplicates), is_duplicate=True),
        Rule("no such order", Reaction.ABSENT, tuple(absent)),
    )
    return tuple(row for row in rows if row.codes)


OTHERS: Mapping[str, tuple[Rule, ...]] = {
    "okx": _rules(
        funds=("51008", "51131"),
        rejects=("51006", "51020", "51116", "51120", "51121", "51136", "51137"),
        keys=("50105", "50111", "50113"),
        clock=("50102", "50112"),
        duplicates=("51016",),
        absent=("51400", "51603"),
    ),
    "kucoin": _rules(
        funds=("200004",),
        rejects=("300000", "400100", "400370", "400600"),
        keys=("400003", "400004", "400005", "400006"),
        clock=("400002",),
    ),
    "gate": _rules(
        funds=("BALANCE_NOT_ENOUGH",),
        rejects=(
            "INVALID_PRECISION",
            "INVALID_CURRENCY_PAIR",
            "AMOUNT_TOO_LITTLE",
            "INVALID_PARAM_VALUE",
        ),
        keys=("INVALID_KEY", "INVALID_SIGNATURE", "MISSING_REQUIRED_HEADER"),
        clock=("REQUEST_EXPIRED",),
        absent=("ORDER_NOT_FOUND",),
    ),
    "bitget": _rules(
        funds=("43012",),
        rejects=("45110", "40808"),
        keys=("40006", "40009", "40012", "40037"),
        clock=("40008",),
        absent=("43001",),
    ),
    "mexc": _rules(
        funds=("30004",),
        rejects=("30001", "30002", "30003", "30005", "30010", "30014", "30019"),
        keys=("10072", "700002", "602"),
        clock=("700003",),
        absent=("-2011", "-2013"),
    ),
    "htx": _rules(
        funds=("account-frozen-balance-insufficient-error",),
        rejects=(
            "order-limitorder-amount-min-error",
            "order-value-min-error",
            "order-orderprice-precision-error",
            "order-limitorder-price-max-error",
            "order-limitorder-price-min-error",
        ),
        keys=("api-signature-not-valid",),
        absent=("base-record-invalid", "order-queryorder-invalid"),
    ),
}
