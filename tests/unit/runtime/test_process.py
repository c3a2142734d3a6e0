"""The names of runs: only a run that has surely ended is gone."""

import os
import subprocess
import sys

from alphapulse.runtime.process import is_gone, this_process


def test_a_run_of_this_process_that_is_not_this_one_is_over() -> None:
    assert this_process() != this_process()
    assert is_gone(this_process())


def test_a_process_that_runs_is_not_gone_and_one_that_ended_is() -> None:
    machine = this_process().partition(":")[0]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        name = f"{machine}:{other.pid}:00"
        assert not is_gone(name)
        other.kill()
    assert is_gone(name)


def test_of_other_machines_and_other_names_nothing_is_known() -> None:
    assert not is_gone(f"elsewhere:{os.getpid()}:00")
    assert not is_gone("another")
