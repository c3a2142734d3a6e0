"""The demo before it starts anything."""

import socket
from pathlib import Path

import pytest

from alphapulse.cli.demo import demo
from alphapulse.cli.folder import SIMULATOR_FILE
from alphapulse.errors import PortTaken


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
