"""Error Tracking: which errors happen, how often, and what lies at their root."""

from alphapulse.errors import AlphaPulseError
from alphapulse.observability import metrics
from alphapulse.observability.redaction import redacted


def describe(error: BaseException) -> str:
    """The cause in one line, for health and status pages; secrets removed.

    A task group wraps what went wrong in a group that says nothing; its members are named instead.
    """
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(describe(member) for member in error.exceptions)
    text = redacted(str(error)).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def count(error: BaseException) -> None:
    """Count an error that was handled at an edge, under its code or, without one, its class."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            count(member)
        return
    kind = error.code if isinstance(error, AlphaPulseError) else type(error).__name__
    metrics.ERRORS.labels(kind).inc()
