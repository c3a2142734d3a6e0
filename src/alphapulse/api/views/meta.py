"""Views of an answer as a whole: how complete it is, how fresh, and what is missing from it."""

from datetime import datetime

from alphapulse.api.schemas.base import Meta, WarningView, not_available_yet, stamp
from alphapulse.domain.sync import SyncState, SyncStatus
from alphapulse.domain.valuation import Quality
from alphapulse.services.portfolio import AccountHealth, Snapshot

NO_ID = ""
"""Stands in for the request id in a body that serves many requests."""

_ACCOUNT_WARNINGS = {
    AccountHealth.STALE: ("account_stale", "Shown as last read; newer figures do not arrive."),
    AccountHealth.ERROR: ("account_error", "Shown as last read; reading fails, see the account."),
    AccountHealth.DISABLED: ("account_disabled", "Shown as last read; the account is not active."),
}

_PRICE_WARNINGS = {
    Quality.STALE: ("price_stale", "Valued at the last known price, which is old."),
    Quality.MANUAL: ("price_manual", "Valued at what a person said, see the price's age."),
}


def plain_meta(now: datetime, request_id: str, *warnings: WarningView) -> Meta:
    """For an answer without money in it."""
    return Meta(request_id=request_id, as_of=now, warnings=warnings)


def meta_of(snapshot: Snapshot, request_id: str, later: tuple[str, ...] = ()) -> Meta:
    """For an answer made of ``snapshot``; ``later`` names fields that nothing computes yet."""
    valuation = snapshot.valuation
    warnings = [*_account_warnings(snapshot), *_price_warnings(snapshot)]
    if later:
        warnings.append(not_available_yet(*later))
    return Meta(
        request_id=request_id,
        as_of=valuation.as_of,
        currency=valuation.currency,
        complete=snapshot.is_complete,
        warnings=tuple(warnings),
    )


def warned(meta: Meta, *warnings: WarningView) -> Meta:
    """The same, and these warnings."""
    return meta.model_copy(update={"warnings": (*meta.warnings, *warnings)})


def grown_old(meta: Meta, as_of: datetime | None, *subjects: str) -> Meta:
    """The same of an answer of which these fields are as of then, because nothing newer can be
    read."""
    since = "an unknown time" if as_of is None else stamp(as_of)
    message = f"As of {since}: the database tells nothing newer at present."
    old = WarningView(code="facts_stale", message=message, subject=subjects)
    return warned(meta, old).model_copy(update={"complete": False})


def failure_of(status: SyncStatus | None) -> str | None:
    """Why a reading fails now, in one line; ``None`` when it does not."""
    if status is None or status.state is SyncState.OK or status.error_message is None:
        return None
    return status.error_message


def _account_warnings(snapshot: Snapshot) -> list[WarningView]:
    found = []
    for health, (code, message) in _ACCOUNT_WARNINGS.items():
        ailing = [account_id for account_id, state in snapshot.health.items() if state is health]
        if ailing:
            found.append(WarningView(code=code, message=message, subject=tuple(sorted(ailing))))
    return found


def _price_warnings(snapshot: Snapshot) -> list[WarningView]:
    valuation = snapshot.valuation
    found = []
    if valuation.unpriced:
        found.append(
            WarningView(
                code="unpriced",
                message="Held, and in no total, because nothing says what it is worth.",
                subject=tuple(sorted({line.asset for line in valuation.unpriced})),
            )
        )
    for quality, (code, message) in _PRICE_WARNINGS.items():
        assets = {
            line.holding.balance.asset
            for line in valuation.holdings
            if line.price is not None and line.price.quality is quality
        }
        if assets:
            found.append(WarningView(code=code, message=message, subject=tuple(sorted(assets))))
    return found
