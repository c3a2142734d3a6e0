"""Health: the worst part speaks for the whole."""

import pytest

from alphapulse.observability.health import ComponentHealth, Health, Status


def health_of(*statuses: Status) -> Health:
    health = Health()
    for number, status in enumerate(statuses):
        component = ComponentHealth(f"part {number}", status)
        health.register(component.name, lambda component=component: component)  # type: ignore[misc]
    return health


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ((), "ok"),
        (("ok", "ok"), "ok"),
        (("ok", "degraded", "ok"), "degraded"),
        (("degraded", "down", "ok"), "down"),
    ],
)
def test_the_status_is_that_of_the_worst_part(parts: tuple[Status, ...], whole: Status) -> None:
    assert health_of(*parts).status == whole


def test_components_are_asked_anew_each_time_and_named_in_order() -> None:
    health = Health()
    answers = iter(["ok", "down"])
    health.register("a", lambda: ComponentHealth("a", next(answers)))  # type: ignore[arg-type]
    health.register("b", lambda: ComponentHealth("b", "ok"))
    assert [component.name for component in health.components()] == ["a", "b"]
    assert health.status == "down"


def test_a_part_that_is_made_anew_replaces_its_predecessor() -> None:
    health = health_of("down")
    health.register("part 0", lambda: ComponentHealth("part 0", "ok"))
    assert [component.status for component in health.components()] == ["ok"]
