"""`alphapulse export` and `alphapulse import` as a person and a program use them."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_command_line import Demo, running_demo
from tests.eventually import eventually

KOINLY = """\
Date,Sent Amount,Sent Currency,Received Amount,Received Currency,Fee Amount,Fee Currency,\
Net Worth Amount,Net Worth Currency,Label,Description,TxHash
2015-01-01 00:00 UTC,,,3,BTC,,,,,airdrop,,
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo
        assert demo.stop() == 0


async def test_files_go_out_come_in_after_a_look_and_are_taken_back(
    demo: Demo, tmp_path: Path
) -> None:
    await eventually(lambda: bool(demo.json("transactions")["items"]))
    account = demo.json("transactions")["items"][0]["account_id"]

    out = tmp_path / "out.csv"
    assert demo.run("export", str(out), "--account", account).returncode == 0
    with out.open(newline="") as rows:
        assert {row["account"] for row in csv.DictReader(rows)} == {account}
    shown = demo.json("import", str(out), "--account", account)
    assert shown["imported"] is None
    assert shown["difference"]["new_count"] == 0

    brought = tmp_path / "koinly.csv"
    brought.write_text(KOINLY)
    command = ("import", str(brought), "--account", account, "--format", "koinly")
    looked = demo.run(*command)
    assert "Nothing was written" in looked.stderr
    refused = demo.run(*command, "--apply", stdin="no\n")
    assert (refused.returncode, "not_agreed" in refused.stderr) == (1, True)
    assert demo.json("imports")["items"] == []

    applied = demo.run(*command, "--apply", stdin="import\n")
    assert applied.returncode == 0, applied.stderr
    (listed,) = demo.json("imports")["items"]
    assert listed["id"] in applied.stdout
    undone = demo.json("undo-import", listed["id"], "--yes")["undone"]
    assert undone["undone_at"] is not None


def test_a_file_that_cannot_be_read_is_told_line_by_line(demo: Demo, tmp_path: Path) -> None:
    account = demo.json("accounts")["items"][0]["id"]
    broken = tmp_path / "broken.csv"
    broken.write_text(KOINLY.replace("2015-01-01", "someday"))
    refused = demo.run("import", str(broken), "--account", account, "--format", "koinly")
    assert refused.returncode == 1
    assert "bad_rows" in refused.stderr
    assert "line 2, Date" in refused.stderr


def test_an_export_that_is_refused_leaves_no_file(demo: Demo, tmp_path: Path) -> None:
    refused = demo.run("export", str(tmp_path / "out.xls"))
    assert refused.returncode != 0
    assert list(tmp_path.iterdir()) == []
