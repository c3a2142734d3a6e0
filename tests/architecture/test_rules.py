"""House rules that a linter cannot see."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import alphapulse
from alphapulse import errors
from alphapulse.domain import events
from alphapulse.domain.events import Event

SOURCE = Path(alphapulse.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))

# The edges: a failed task is restarted, a reader's loop goes on, a request gets its 500, the
# command line prints and exits.
BROAD_CATCHES = {
    "runtime/supervisor.py",
    "runtime/worker.py",
    "api/middleware.py",
    "cli/app.py",
}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def _error_classes() -> Iterator[type[errors.AlphaPulseError]]:
    for _, cls in inspect.getmembers(errors, inspect.isclass):
        if issubclass(cls, errors.AlphaPulseError):
            yield cls


def test_every_error_stands_in_the_tree_of_the_docstring() -> None:
    drawn = set(re.findall(r"^[│├└─ ]*(\w+)", errors.__doc__ or "", re.MULTILINE))
    assert {cls.__name__ for cls in _error_classes()} <= drawn


def test_error_codes_are_snake_case_and_unique() -> None:
    codes = [cls.code for cls in _error_classes()]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z][a-z_]+", code) for code in codes)


def test_events_are_frozen_and_past_tense() -> None:
    for name, cls in inspect.getmembers(events, inspect.isclass):
        if issubclass(cls, Event) and cls is not Event:
            assert cls.__struct_config__.frozen, name
            assert re.search(r"(ed|en)$", name), f"{name} is not past tense"


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=_name)
def test_a_package_init_holds_only_its_docstring(path: Path) -> None:
    body = _tree(path).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


def test_every_module_says_what_it_is() -> None:
    silent = [_name(p) for p in MODULES if not ast.get_docstring(_tree(p))]
    assert not silent


def test_broad_catches_stand_only_at_the_edges() -> None:
    found = {
        _name(path)
        for path in MODULES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
        )
    }
    assert found <= BROAD_CATCHES


def test_transactions_end_in_one_place() -> None:
    ends = {_name(p) for p in MODULES if re.search(r"\.(commit|rollback)\(", p.read_text())}
    assert ends <= {"database/unit_of_work.py"}


@pytest.mark.parametrize("package", ["domain", "services", "database/repositories"])
def test_money_is_never_annotated_as_float(package: str) -> None:
    # Durations in seconds, shares of work done, and counts of a loop are not money.
    harmless = re.compile(r"(_s|_hz|progress|ratio)$")
    found = []
    for path in (SOURCE / package).rglob("*.py"):
        for node in ast.walk(_tree(path)):
            target: ast.expr | None
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name, target = node.target.id, node.annotation
            elif isinstance(node, ast.arg):
                name, target = node.arg, node.annotation
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                name, target = node.name, node.returns
            else:
                continue
            if (
                target is not None
                and re.search(r"\bfloat\b", ast.unparse(target))
                and not harmless.search(name)
            ):
                found.append(f"{_name(path)}:{node.lineno} {name}")
    assert not found


SIMULATED = ("domain", "services", "pipeline")
ESCAPES = re.compile(
    r"^(time\.(time|monotonic|perf_counter|sleep)(_ns)?|datetime\.(datetime\.)?(now|utcnow|today)"
    r"|date\.today|random\..*|Random|SystemRandom|uuid\d?\.?uuid\d|os\.urandom|threading\..*|Thread"
    r"|asyncio\.(to_thread|run)|.*\.run_in_executor)$"
)
"""Calls by which code would leave a simulated world: its clock, its chance, its one thread."""

ESCAPED_MODULES = {"time", "random", "uuid", "threading", "multiprocessing", "concurrent.futures"}


@pytest.mark.parametrize("package", SIMULATED)
def test_what_is_simulated_has_no_clock_chance_or_thread_of_its_own(package: str) -> None:
    found = []
    for path in (SOURCE / package).rglob("*.py"):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call):
                escapes = bool(ESCAPES.match(ast.unparse(node.func)))
            elif isinstance(node, ast.Import):
                escapes = any(alias.name in ESCAPED_MODULES for alias in node.names)
            else:
                escapes = isinstance(node, ast.ImportFrom) and node.module in ESCAPED_MODULES
            if escapes:
                found.append(f"{_name(path)}: {ast.unparse(node)}")
    assert not found


def test_every_module_imports_by_itself() -> None:
    for module in pkgutil.walk_packages(alphapulse.__path__, "alphapulse."):
        if module.name not in {"alphapulse.__main__", "alphapulse.database.migrations.env"}:
            importlib.import_module(module.name)
