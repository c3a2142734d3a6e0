"""The power goes while orders are placed: what was acknowledged is there when it is back."""

import hashlib
import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import apsw
import pytest

from alphapulse.runtime import crash_points
from tests.crash import life as lives
from tests.crash.disk import Disk, PowerCut
from tests.crash.life import Life, Then, Wish
from tests.crash.runs import BYBIT
from tests.crash.stores import SqliteStore
from tests.crash.tape import MONEY, Tape, recording
from tests.crash.venue import VenueServer, Weather

CUTS, CUTS_OF_SWEEP = 300, 10_000
WISHES = (*(Wish(f"rests {i}") for i in range(5)), Wish("ends", Then.CANCEL))


@dataclass(frozen=True, slots=True)
class Recorded:
    """The money file before, what was written to it, and what it holds after each commit."""

    before: bytes
    tape: Tape
    states: tuple[str, ...]
    work: int


@dataclass
class Found:
    """What cuts did."""

    lost: int = 0
    """Cuts after which an acknowledged commit was gone."""
    broken: int = 0
    """Cuts after which the file was damaged, or held what no commit had left."""


@pytest.fixture
async def recorded(sqlite_template: Path, tmp_path: Path) -> Recorded:
    store = SqliteStore(sqlite_template, tmp_path)
    await store.renew(BYBIT)
    before = (tmp_path / "database" / MONEY).read_bytes()
    venue = VenueServer(BYBIT, Weather(random.Random(0)), store.is_claimed)
    async with venue.listening():
        life = Life(store.settings.url, BYBIT, venue.port, WISHES, 60.0, is_last=True)
        try:
            with recording() as tape:
                await lives.live(life)
        finally:
            crash_points.on_reached = None
    states = _states(before, tape, tmp_path / "plain.db")
    disk = Disk("whole", random.Random(0))
    disk.put(MONEY, before)
    acknowledged, _ = _repeat(disk, tape, tape.settings)
    assert acknowledged == len(tape.transactions)
    return Recorded(before, tape, states, disk.worked)


def test_what_was_recorded_is_what_the_product_writes_and_how(recorded: Recorded) -> None:
    written = "\n".join(chain.from_iterable(recorded.tape.transactions))
    for table in ("idempotency_keys", "intents", "orders", "order_events", "sender_leases"):
        assert f"INSERT INTO {table} " in written
    assert "PRAGMA journal_mode = WAL" in recorded.tape.settings
    assert "PRAGMA synchronous = FULL" in recorded.tape.settings


def test_no_acknowledged_commit_is_lost(recorded: Recorded, tmp_path: Path) -> None:
    found = cuts(recorded, tmp_path, CUTS, recorded.tape.settings)
    assert (found.lost, found.broken) == (0, 0)


@pytest.mark.sweep
def test_no_acknowledged_commit_is_lost_in_thousands_of_cuts(
    recorded: Recorded, tmp_path: Path
) -> None:
    found = cuts(recorded, tmp_path, CUTS_OF_SWEEP, recorded.tape.settings)
    assert (found.lost, found.broken) == (0, 0)


def test_a_weaker_setting_is_convicted_of_losing(recorded: Recorded, tmp_path: Path) -> None:
    settings = [one.replace("FULL", "NORMAL") for one in recorded.tape.settings]
    found = cuts(recorded, tmp_path, 60, settings)
    assert found.lost > 0
    assert found.broken == 0


def test_no_setting_at_all_is_convicted_of_damage(recorded: Recorded, tmp_path: Path) -> None:
    settings = [one.replace("FULL", "OFF") for one in recorded.tape.settings]
    assert cuts(recorded, tmp_path, 60, settings).broken > 0


def cuts(recorded: Recorded, folder: Path, times: int, settings: list[str]) -> Found:
    chance, found = random.Random(times), Found()
    for _ in range(times):
        disk = Disk("cut", chance)
        disk.put(MONEY, recorded.before)
        disk.left = chance.randrange(recorded.work)
        checkpoint_after = chance.randrange(len(recorded.tape.transactions))
        acknowledged, files = _repeat(disk, recorded.tape, settings, checkpoint_after)
        state = _read(files, folder / "after")
        # The commit that was under way may have made it.
        if state in recorded.states[acknowledged : acknowledged + 2]:
            continue
        if state in recorded.states:
            found.lost += 1
        else:
            found.broken += 1
    return found


def _repeat(
    disk: Disk, tape: Tape, settings: list[str], checkpoint_after: int = -1
) -> tuple[int, dict[str, bytes]]:
    """How many commits were acknowledged before the power went, and what is found then."""
    acknowledged = 0
    file = apsw.Connection(MONEY, vfs=disk.vfs_name)
    try:
        # Without shared memory, which a disk does not have; nothing else opens the file.
        for setting in ("PRAGMA locking_mode = EXCLUSIVE", *settings):
            file.execute(setting)
        for transaction in tape.transactions:
            for statement in transaction:
                file.execute(statement)
            acknowledged += 1
            if acknowledged == checkpoint_after:  # as the nightly upkeep does
                file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except (PowerCut, apsw.Error):
        assert disk.is_off
    return acknowledged, disk.cut(file)


def _states(before: bytes, tape: Tape, path: Path) -> tuple[str, ...]:
    path.write_bytes(before)
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        states = [_digest(file)]
        for transaction in tape.transactions:
            for statement in transaction:
                file.execute(statement)
            states.append(_digest(file))
    return tuple(states)


def _read(files: dict[str, bytes], folder: Path) -> str:
    """What the product's own SQLite reads after the cut."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with closing(sqlite3.connect(folder / MONEY, isolation_level=None)) as file:
        try:
            (verdict,) = file.execute("PRAGMA integrity_check").fetchone()
            return _digest(file) if verdict == "ok" else verdict
        except sqlite3.DatabaseError as error:
            return str(error)


def _digest(file: sqlite3.Connection) -> str:
    return hashlib.sha256("\n".join(file.iterdump()).encode()).hexdigest()
