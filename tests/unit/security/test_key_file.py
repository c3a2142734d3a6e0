"""Key file: made once, whole, and readable by its owner only."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from alphapulse.errors import ConfigurationInvalid
from alphapulse.security.key_file import MasterKey


def test_a_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "data" / "master.key"
    made = MasterKey.load_or_create(path)
    assert MasterKey.load_or_create(path) == MasterKey.load(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_two_installations_have_different_keys(tmp_path: Path) -> None:
    one, other = (MasterKey.load_or_create(tmp_path / name) for name in "ab")
    assert one != other


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    program = (
        "import sys; from pathlib import Path; from alphapulse.security.key_file import MasterKey;"
        "print(MasterKey.load_or_create(Path(sys.argv[1])).derive('test').hex())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in processes}) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused_and_the_command_to_mend_it_named(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "master.key"
    MasterKey.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationInvalid, match="chmod 600"):
        MasterKey.load_or_create(path)


@pytest.mark.parametrize(
    "text", ["", "alphapulse-master-key 1 00ff", "something else 1", "x 1 " + "00" * 32, "é"]
)
def test_a_file_without_a_key_is_refused_and_never_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "master.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigurationInvalid):
        MasterKey.load_or_create(path)
    assert path.read_text() == text


def test_keys_for_different_purposes_have_nothing_in_common() -> None:
    master = MasterKey(1, b"m" * 32)
    assert len({master.derive("tokens"), master.derive("secrets"), b"m" * 32}) == 3
    assert master.derive("tokens") == MasterKey(1, b"m" * 32).derive("tokens")
    assert len(master.derive("tokens")) == 32


def test_a_key_does_not_print_itself() -> None:
    assert "m" * 4 not in repr(MasterKey(1, b"m" * 32))
