"""Make the tables of docs/ that are read off the code, or check them (--check)."""

import ast
import inspect
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

DOCS = Path(__file__).resolve().parents[1] / "docs"
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
    pages = {DOCS / "errors.md": errors_page(), DOCS / "settings.md": settings_page()}
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
