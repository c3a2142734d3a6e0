"""Health Checks: what works, what limps and what is down, each with its cause."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["ok", "degraded", "down"]

_WORST_FIRST: tuple[Status, ...] = ("down", "degraded", "ok")


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """One part's own word on how it is; ``detail`` is the cause, when it is not ok."""

    name: str
    status: Status
    detail: str | None = None
    since: datetime | None = None


class Health:
    """Asks every registered part.

    A check is called on the caller's loop at each reading, so it only looks at what its part
    already knows and never waits.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], ComponentHealth]] = {}

    def register(self, name: str, check: Callable[[], ComponentHealth]) -> None:
        """Include ``check`` in every answer from now on; it replaces an earlier one of ``name``."""
        self._checks[name] = check

    def components(self) -> tuple[ComponentHealth, ...]:
        """Every part in the order of registration."""
        return tuple(check() for check in self._checks.values())

    @property
    def status(self) -> Status:
        """The worst of all parts; ok when there are none."""
        return worst(component.status for component in self.components())


def worst(statuses: Iterable[Status]) -> Status:
    """The one status that speaks for all of them."""
    present = set(statuses)
    return next((status for status in _WORST_FIRST if status in present), "ok")
