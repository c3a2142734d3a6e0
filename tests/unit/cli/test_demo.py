"""The demo before it starts anything."""

import socket
from pathlib import Path

import pytest

from alphapulse.cli.demo import _reset, _simulator_settings, demo
from alphapulse.cli.folder import SIMULATED_ACCOUNTS_FILE, SIMULATOR_FILE
from alphapulse.errors import PortTaken
from alphapulse.simulator.settings import SimulatorSettings


def test_a_taken_port_is_said_before_anything_is_started_or_deleted(tmp_path: Path) -> None:
    stored = tmp_path / SIMULATOR_FILE
    stored.write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(PortTaken) as taken:
            demo(port=port, reset=True, folder=tmp_path, as_json=True)

    assert str(port) in taken.value.message
    assert list(tmp_path.iterdir()) == [stored]
    assert stored.read_text() == "{}"


def test_accounts_of_a_demo_live_in_its_folder_until_it_is_reset(tmp_path: Path) -> None:
    first = SimulatorSettings.model_validate(_simulator_settings(tmp_path))
    again = SimulatorSettings.model_validate(_simulator_settings(tmp_path))
    kept = tmp_path / SIMULATED_ACCOUNTS_FILE
    kept.write_text("{}")
    _reset(tmp_path)

    assert first.state_file == again.state_file == kept
    assert first.accounts == again.accounts
    assert list(tmp_path.iterdir()) == []
