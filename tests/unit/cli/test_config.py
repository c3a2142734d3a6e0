"""Settings: where values come from, which one wins, and what is said of a wrong one."""

from pathlib import Path

import pytest

from alphapulse.config import SETTINGS_FILE, Settings, load_settings
from alphapulse.errors import ConfigurationInvalid

SECRET = "correct-horse"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith("ALPHAPULSE_"):
            monkeypatch.delenv(name)


def write(folder: Path, text: str) -> None:
    (folder / SETTINGS_FILE).write_text(text)


def test_without_anything_the_defaults_keep_to_this_machine(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)

    assert settings.api.host == "127.0.0.1"
    assert settings.mode == "live"
    assert settings.database.url == f"sqlite:///{tmp_path / 'db'}"


def test_the_file_is_stronger_than_the_default(tmp_path: Path) -> None:
    write(tmp_path, "[api]\nport = 8001\n")

    assert load_settings(tmp_path).api.port == 8001


def test_the_environment_is_stronger_than_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "[api]\nport = 8001\n")
    monkeypatch.setenv("ALPHAPULSE_API__PORT", "8002")

    assert load_settings(tmp_path).api.port == 8002


def test_the_command_line_is_stronger_than_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPHAPULSE_API__PORT", "8002")

    assert load_settings(tmp_path, api={"port": 8003}).api.port == 8003


def test_sources_complete_each_other_within_one_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "[sync]\nbalances_interval_s = 11\norders_interval_s = 12\n")
    monkeypatch.setenv("ALPHAPULSE_SYNC__ORDERS_INTERVAL_S", "13")

    sync = load_settings(tmp_path, sync={"fills_interval_s": 14}).sync

    assert (sync.balances_interval_s, sync.orders_interval_s, sync.fills_interval_s) == (11, 13, 14)


def test_what_the_command_line_leaves_open_is_not_given(tmp_path: Path) -> None:
    write(tmp_path, '[exchanges]\nsimulator_url = "http://127.0.0.1:8800"\n')

    settings = load_settings(tmp_path, api={}, exchanges=None)

    assert settings.exchanges.simulator_url == "http://127.0.0.1:8800"


def test_another_database_replaces_the_one_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPHAPULSE_DATABASE__URL", "postgresql://user@127.0.0.1/alphapulse")

    assert load_settings(tmp_path).database.url == "postgresql://user@127.0.0.1/alphapulse"


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    load_settings(tmp_path / "new" / "folder")

    assert (tmp_path / "new" / "folder").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("source", ["file", "environment", "command line"])
def test_a_wrong_value_names_its_variable(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, object] = {}
    if source == "file":
        write(tmp_path, '[api]\nport = "many"\n')
    elif source == "environment":
        monkeypatch.setenv("ALPHAPULSE_API__PORT", "many")
    else:
        given = {"api": {"port": "many"}}

    with pytest.raises(ConfigurationInvalid, match="ALPHAPULSE_API__PORT"):
        load_settings(tmp_path, **given)


def test_every_wrong_value_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPHAPULSE_MODE", "dangerous")
    monkeypatch.setenv("ALPHAPULSE_SYNC__REQUESTS_AT_ONCE", "0")

    with pytest.raises(ConfigurationInvalid) as wrong:
        load_settings(tmp_path)

    assert "ALPHAPULSE_MODE" in str(wrong.value)
    assert "ALPHAPULSE_SYNC__REQUESTS_AT_ONCE" in str(wrong.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("prot = 8000\n", "ALPHAPULSE_PROT"),
        ("[api]\nprot = 8000\n", "ALPHAPULSE_API__PROT"),
    ],
)
def test_an_unknown_name_in_the_file_is_refused(text: str, name: str, tmp_path: Path) -> None:
    write(tmp_path, text)

    with pytest.raises(ConfigurationInvalid, match=name):
        load_settings(tmp_path)


@pytest.mark.parametrize("name", ["ALPHAPULSE_API__PROT", "ALPHAPULSE_PROT"])
def test_an_unknown_name_in_the_environment_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "8000")

    with pytest.raises(ConfigurationInvalid, match=name):
        load_settings(tmp_path)


def test_a_list_that_is_no_json_names_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPHAPULSE_SYNC__WATCH_SYMBOLS", "BTC/USDT")

    with pytest.raises(ConfigurationInvalid, match=r'not JSON: .*"sync"'):
        load_settings(tmp_path)


def test_a_file_that_is_not_toml_is_said_to_be_unreadable(tmp_path: Path) -> None:
    write(tmp_path, "port: 8000")

    with pytest.raises(ConfigurationInvalid, match=r"alphapulse\.toml is not readable"):
        load_settings(tmp_path)


def test_no_secret_gets_into_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHAPULSE_DATABASE__URL", f"mysql://user:{SECRET}@127.0.0.1/alphapulse")

    with pytest.raises(ConfigurationInvalid) as wrong:
        load_settings(tmp_path)

    assert "ALPHAPULSE_DATABASE__URL" in str(wrong.value)
    told = [str(wrong.value), repr(wrong.value), str(wrong.value.__context__ or "")]
    assert not any(SECRET in text for text in told)


def test_settings_do_not_change(tmp_path: Path) -> None:
    settings: Settings = load_settings(tmp_path)

    with pytest.raises(ValueError, match="frozen"):
        settings.mode = "demo"
