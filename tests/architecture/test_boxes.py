"""The box table of docs/architecture.md and the tree say the same."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "alphapulse"
ROW = re.compile(r"^\| (?P<chapter>[^|]+) \| (?P<box>[^|]+) \| (?P<here>[^|]+) \|$")

# The chapters of the architecture document; each must keep its rows.
CHAPTERS = {
    "Overview", "FastAPI Application", "Data Pipeline", "Database Layer", "Exchange Integration",
    "Alerting System", "Database Schema", "Connection Management", "Error Handling Patterns",
    "Concurrency Model", "Thread-Asyncio Interaction", "API Endpoints", "Security Measures",
    "Monitoring and Logging", "Synchronization Flow", "Synchronizer Errors", "Frontend Clients",
}  # fmt: skip


def _rows() -> list[tuple[str, str, str]]:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = [(m["chapter"], m["box"], m["here"]) for m in map(ROW.match, text.splitlines()) if m]
    return [row for row in rows if row[0] not in {"chapter", "---"}]


def test_every_chapter_of_the_document_has_rows() -> None:
    assert {chapter for chapter, _, _ in _rows()} == CHAPTERS


def test_the_table_has_not_lost_boxes() -> None:
    assert len(_rows()) >= 73


@pytest.mark.parametrize(("chapter", "box", "here"), _rows())
def test_each_box_is_where_the_table_says(chapter: str, box: str, here: str) -> None:
    if here == "later":
        return
    paths = re.findall(r"`([^`]+)`", here)
    assert paths, f"{chapter} / {box}: neither a path nor 'later'"
    gone = [p for p in paths if not (SOURCE / p).exists() and not (SOURCE / f"{p}.py").exists()]
    assert not gone, f"{chapter} / {box}: {gone} is not in src/alphapulse"
