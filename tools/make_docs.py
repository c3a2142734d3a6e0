"""Make the tables of docs/ that are read off the code, or check them (--check)."""

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from alphapulse import errors
from alphapulse.api.problems import STATUS
from alphapulse.config import Settings
from alphapulse.simulator.faults.answers import AnswerFault
from alphapulse.simulator.faults.fault import BaseFault
from alphapulse.simulator.faults.menu import MENU
from alphapulse.simulator.faults.requests import CutConnection
from alphapulse.simulator.faults.streams import FrameFault, MessageFault
from alphapulse.simulator.faults.world import OrderFault

DOCS = Path(__file__).resolve().parents[1] / "docs"
STRIKES: dict[type[BaseFault], str] = {
    CutConnection: "connection",
    AnswerFault: "answer",
    OrderFault: "order",
    MessageFault: "message",
    FrameFault: "frame",
    BaseFault: "request",
}
NOTE = "<!-- Made by `make docs` from the code; do not edit. -->\n"


def errors_page() -> str:
    """Every error code, its HTTP status, and what to do."""
    rows = []
    for _, cls in inspect.getmembers(errors, inspect.isclass):
        if issubclass(cls, errors.AlphaPulseError):
            what = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")
            rows.append((cls.code, _status(cls), what, cls.fix))
    lines = [
        f"| `{code}` | {status} | {what} | {fix} |" for code, status, what, fix in sorted(rows)
    ]
    head = "| code | HTTP | what it means | what to do |\n|---|---|---|---|\n"
    return f"# Errors\n\n{NOTE}\n{head}" + "\n".join(lines) + "\n"


def settings_page() -> str:
    """Every setting with its environment variable, default and meaning."""
    head = "| environment variable | default | meaning |\n|---|---|---|\n"
    lines = [
        f"| `{name}` | {default} | {text} |"
        for name, default, text in _fields(Settings, "ALPHAPULSE_")
    ]
    return f"# Settings\n\n{NOTE}\n{head}" + "\n".join(lines) + "\n"


def simulator_page() -> str:
    """The page of the simulator with the tables of its faults renewed."""
    page = (DOCS / "simulator.md").read_text()
    kinds = "| kind | strikes | parameters | what happens |\n|---|---|---|---|\n"
    kinds += "\n".join(_fault_row(fault) for fault in _faults())
    chapters = [
        f"**{chapter}**\n\n| you want | you say |\n|---|---|\n"
        + "\n".join(f"| {dish.what} | `{_short(dish.fault)}` |" for dish in dishes)
        for chapter, dishes in MENU.items()
    ]
    for name, table in (("kinds", kinds), ("menu", "\n\n".join(chapters))):
        start, end = f"<!-- {name}: made by `make docs` -->\n", f"\n<!-- end of {name} -->"
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n{table}\n{end}{rest.partition(end)[2]}"
    return page


def _faults() -> Iterator[type[BaseFault]]:
    """Every fault that can be named, in the order of the code."""
    pending = [BaseFault]
    while pending:
        cls = pending.pop(0)
        pending = [*cls.__subclasses__(), *pending]
        if "kind" in cls.model_fields:
            yield cls


def _fault_row(fault: type[BaseFault]) -> str:
    common = BaseFault.model_fields.keys() | {"kind"}
    own = {name: field for name, field in fault.model_fields.items() if name not in common}
    given = ", ".join(
        f"`{name}`" if field.is_required() else f"`{name}` ({_told(field.default)})"
        for name, field in own.items()
    )
    strikes = next(word for base, word in STRIKES.items() if issubclass(fault, base))
    what = " ".join(inspect.cleandoc(fault.__doc__ or "").replace("``", "`").split())
    return f"| `{fault.model_fields['kind'].default}` | {strikes} | {given or '–'} | {what} |"


def _told(value: object) -> str:
    """A default, as JSON writes it."""
    return f"`{json.dumps(value)}`"


def _short(fault: BaseFault) -> str:
    """As JSON, without what goes without saying."""
    said = fault.model_dump(mode="json", exclude_defaults=True)
    return json.dumps({"kind": fault.model_dump()["kind"], **said}).replace("|", "\\|")


def _status(cls: type[errors.AlphaPulseError]) -> int:
    return next(STATUS[parent] for parent in cls.__mro__ if parent in STATUS)


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    meanings = _meanings(model)
    for name, field in model.model_fields.items():
        nested = _model_in(field.annotation)
        if nested is not None:
            yield from _fields(nested, f"{prefix}{name.upper()}__")
            continue
        default = field.get_default(call_default_factory=False)
        is_given = default is not PydanticUndefined and default is not None
        shown = f"`{default}`" if is_given else "–"
        yield prefix + name.upper(), shown, meanings.get(name, "")


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """The line beneath each field. Pydantic can find them too, but does it at every start."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: " ".join(inspect.cleandoc(text.value.value).split())
        for field, text in pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _model_in(annotation: object) -> type[BaseModel] | None:
    options = (
        get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    )
    return next((o for o in options if inspect.isclass(o) and issubclass(o, BaseModel)), None)


def dead_links() -> list[str]:
    """Relative links in Markdown files that lead nowhere."""
    return [
        f"{page.relative_to(DOCS.parent)}: {target}"
        for page in [*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")]
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]


def main() -> int:
    """Write the pages, or compare them."""
    pages = {
        DOCS / "errors.md": errors_page(),
        DOCS / "settings.md": settings_page(),
        DOCS / "simulator.md": simulator_page(),
    }
    if "--check" not in sys.argv:
        for path, text in pages.items():
            path.write_text(text)
        return 0
    stale = [p.name for p, text in pages.items() if not p.exists() or p.read_text() != text]
    problems = [f"docs/{name} is out of date: run make docs" for name in stale]
    problems += [f"dead link in {link}" for link in dead_links()]
    print("\n".join(problems) or "docs are current", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
