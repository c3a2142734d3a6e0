"""The command line as a person and a program use it: real processes, a real folder, a real port."""

import asyncio
import http.client
import json
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import typer

from alphapulse.cli.app import app
from alphapulse.cli.folder import SERVER_FILE
from alphapulse.security.key_file import KEY_FILE_NAME, MasterKey
from tests.eventually import LIMIT_S, eventually
from tests.fixtures.product import PASSWORD

COMMAND = (sys.executable, "-m", "alphapulse")
USER = {"username": "ada", "password": PASSWORD}


@dataclass
class Demo:
    """A demo in a process of its own. ``said`` is the JSON it printed when it was ready."""

    process: subprocess.Popen[str]
    folder: Path
    said: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.said["url"])

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return run(*arguments, "--data-dir", str(self.folder), stdin=stdin)

    def json(self, *arguments: str) -> Any:
        """What a command prints for programs."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def post(self, path: str, body: object) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=LIMIT_S)
        with closing(connection):
            headers = {"Content-Type": "application/json"}
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            said: dict[str, Any] = json.load(answer)
            assert answer.status < 300, said
            return said

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """The exit code."""
        self.process.send_signal(with_signal)
        code = self.process.wait(LIMIT_S)
        assert not answers(self.url)
        return code


def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@contextmanager
def running_demo(folder: Path) -> Iterator[Demo]:
    """Started as a program would; killed at the end if it still runs."""
    with subprocess.Popen(
        [*COMMAND, "demo", "--port", "0", "--data-dir", str(folder), "--json"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Demo(process, folder, first_document(process))
        finally:
            process.kill()


def first_document(process: subprocess.Popen[str]) -> dict[str, Any]:
    text = ""
    assert process.stdout is not None
    for line in process.stdout:
        text += line
        if line == "}\n":
            break
    said: dict[str, Any] = json.loads(text)
    return said


def answers(url: str) -> bool:
    """Whether anything listens there."""
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One for all tests that only look."""
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo
        assert demo.stop() == 0


# Looking


def test_a_demo_says_where_it_is_and_how_to_get_in(demo: Demo) -> None:
    assert demo.said["setup_link"].startswith(f"{demo.url}/setup#k=")
    assert demo.said["pid"] == demo.process.pid


def test_accounts_are_listed_with_what_their_keys_may_do(demo: Demo) -> None:
    accounts = demo.json("accounts")["items"]

    assert {account["label"] for account in accounts} == {
        *("binance-main", "binance-second", "bybit-unified")
    }
    assert all(account["is_simulated"] for account in accounts)
    text = demo.run("accounts").stdout
    assert all(account["id"] in text for account in accounts)


async def test_the_portfolio_is_the_sum_of_its_positions(demo: Demo) -> None:
    def is_priced() -> bool:
        shown = demo.json("portfolio", "--currency", "USDT")
        unpriced = [item["asset"] for item in shown["summary"]["unpriced"]]
        assert unpriced == ["ETHW"]
        assert len(shown["positions"]) > 20
        return True

    await eventually(is_priced)
    assert "ETHW" in demo.run("portfolio").stdout


async def test_positions_say_what_a_day_did_to_them_and_since_when_contracts_are_held(
    demo: Demo,
) -> None:
    def is_said() -> bool:
        positions = demo.json("portfolio", "--currency", "USD")["positions"]
        unknown = {line["asset"] for line in positions if line["change_24h"] is None}
        assert unknown == {"ETHW"}
        assert all(line["opened_at"] for line in positions if line["side"] is not None)
        # The index in US dollars and the market against USDT tell nearly the same.
        (bitcoin, *_) = (line for line in positions if line["asset"] == "BTC")
        (market, *_) = demo.json("prices", "BTC/USDT")["items"]
        by_index, by_market = bitcoin["change_24h"]["pct"], market["change_24h_pct"]
        assert abs(Decimal(by_index) - Decimal(by_market)) < 1
        return True

    await eventually(is_said)
    assert "24H %" in demo.run("portfolio").stdout


async def test_what_the_ledger_says_was_held_a_second_ago_is_what_is_held(demo: Demo) -> None:
    def held(*options: str) -> dict[tuple[str, str], Decimal]:
        found: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for line in demo.json("portfolio", *options)["positions"]:
            if line["side"] is None:
                found[line["account_id"], line["asset"]] += Decimal(line["quantity"])
        return dict(found)

    def adds_up() -> bool:
        a_second_ago = (datetime.now(UTC) - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S")
        assert held("--as-of", a_second_ago) == held()
        return True

    await eventually(adds_up)
    told = demo.run("portfolio", "--as-of", "2001-01-01")
    assert told.returncode != 0
    assert "first activity" in told.stderr


async def test_prices_are_shown_once(demo: Demo) -> None:
    def is_shown() -> bool:
        lines = demo.json("prices", "ETH/USDT:USDT")["items"]
        exchanges = [line["exchange"] for line in lines]
        assert {line["symbol"] for line in lines} == {"ETH/USDT:USDT"}
        return "bybit" in exchanges and len(set(exchanges)) == len(exchanges)

    await eventually(is_shown)
    assert "ETH/USDT:USDT" in demo.run("prices", "ETH/USDT:USDT").stdout


def test_what_a_person_says_is_listed_with_their_name_until_it_is_taken_back(demo: Demo) -> None:
    said = demo.json("prices", "set", "luna", "0.25", "--currency", "usd")["said"]
    assert (said["asset"], said["value"], said["currency"]) == ("LUNA", "0.25", "USD")
    then = demo.run("prices", "set", "LUNA", "80.1", "-c", "USD", "--as-of", "2022-04-05")
    assert "as of 2022-04-05" in then.stderr
    text = demo.run("prices", "said").stdout
    assert "local-operator" in text
    assert "80.1" not in text
    assert "80.1" in demo.run("prices", "said", "LUNA").stdout

    assert demo.run("prices", "unset", "LUNA", "--as-of", "2022-04-05").returncode == 0
    assert len(demo.json("prices", "said", "LUNA")["items"]) == 1
    assert demo.json("prices", "unset", "LUNA") == {"asset": "LUNA", "taken_back": True}
    assert "not_found" in demo.run("prices", "unset", "LUNA").stderr
    assert "validation_failed" in demo.run("prices", "set", "LUNA", "0", "-c", "USD").stderr


def test_prices_are_followed_line_by_line(demo: Demo) -> None:
    arguments = ("prices", "BTC/USDT", "--watch", "--json", "--data-dir", str(demo.folder))
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        types: list[str] = []
        while "delta" not in types:
            types.append(json.loads(watching.stdout.readline())["type"])
        watching.send_signal(signal.SIGINT)
        assert watching.wait(LIMIT_S) == 130

    assert types[:2] == ["hello", "snapshot"]


async def test_doctor_finds_nothing_wrong(demo: Demo) -> None:
    def is_well() -> bool:
        findings = demo.json("doctor")
        assert {"Server", "Database", "Master key", "binance prices"} <= {
            finding["name"] for finding in findings
        }
        return all(finding["ok"] for finding in findings)

    await eventually(is_well)


def test_a_new_link_to_the_set_up_replaces_the_old_one(demo: Demo) -> None:
    link, again = demo.json("setup-link"), demo.json("setup-link")

    assert link["link"].startswith(f"{demo.url}/setup#k=")
    assert link["code"] != again["code"]


def test_the_schema_is_told_while_the_server_has_the_database(demo: Demo) -> None:
    schema = demo.json("db", "current")

    assert schema["current"] == schema["expected"]


def test_what_happened_is_in_the_log_of_the_folder(demo: Demo) -> None:
    lines = (demo.folder / "alphapulse.log").read_text().splitlines()

    assert "account connected" in {json.loads(line)["message"] for line in lines}


# What cannot be done


def test_a_wrong_key_is_refused_with_its_cause_and_the_next_step(demo: Demo) -> None:
    key = json.dumps({"api_key": "wrong", "api_secret": "wrong"})

    refused = demo.run("connect", "bybit", "--label", "mine", "--key-file", "-", stdin=key)

    assert refused.returncode == 1
    assert "key_refused" in refused.stderr
    assert "→" in refused.stderr
    assert "key_invalid" in refused.stderr
    assert len(demo.json("accounts")["items"]) == 3


def test_a_key_file_that_cannot_be_read_is_the_callers_mistake(demo: Demo) -> None:
    refused = demo.run("connect", "bybit", "--key-file", "-", stdin="not JSON")

    assert refused.returncode == 2
    assert "validation_failed" in refused.stderr


def test_an_unknown_exchange_is_refused_with_the_names_that_are_close(demo: Demo) -> None:
    key = json.dumps({"api_key": "k", "api_secret": "s"})

    refused = demo.run("connect", "binanse", "--key-file", "-", stdin=key)

    assert refused.returncode == 1
    assert "close to it: binance" in refused.stderr


@pytest.mark.parametrize(
    "command", ["accounts", "portfolio", "prices", "prices --watch", "setup-link"]
)
def test_without_a_server_a_command_says_how_to_start_one(command: str, tmp_path: Path) -> None:
    lost = run(*command.split(), "--data-dir", str(tmp_path))

    assert lost.returncode == 3
    assert lost.stdout == ""
    assert "not_running" in lost.stderr
    assert "alphapulse serve" in lost.stderr


def test_a_server_that_was_killed_is_not_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody_else:
        url = f"http://127.0.0.1:{somebody_else.getsockname()[1]}"
    MasterKey.load_or_create(tmp_path / KEY_FILE_NAME)
    (tmp_path / SERVER_FILE).write_text(json.dumps({"url": url, "pid": 1, "version": "0"}))
    run("db", "upgrade", "--data-dir", str(tmp_path))

    assert run("doctor", "--data-dir", str(tmp_path)).returncode == 1
    assert json.loads(run("db", "current", "--json", "--data-dir", str(tmp_path)).stdout)


def test_a_taken_port_is_named_with_the_next_free_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody_else:
        port = somebody_else.getsockname()[1]
        refused = run("serve", "--port", str(port), "--data-dir", str(tmp_path))

    assert refused.returncode == 1
    assert "port_taken" in refused.stderr
    assert f"127.0.0.1:{port}" in refused.stderr
    assert "next_free=" in refused.stderr


def test_a_setting_that_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "alphapulse.toml").write_text('[api]\nport = "many"\ncolour = "red"\n')

    refused = run("serve", "--data-dir", str(tmp_path))

    assert refused.returncode == 1
    assert "config_invalid" in refused.stderr
    assert "ALPHAPULSE_API__PORT" in refused.stderr
    assert "ALPHAPULSE_API__COLOUR" in refused.stderr


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("not a folder")

    refused = run("serve", "--port", "0", "--data-dir", str(tmp_path))

    assert refused.returncode == 1
    assert "database_unavailable" in refused.stderr


def test_a_demo_leaves_folders_alone_that_are_not_its_own(tmp_path: Path) -> None:
    run("db", "upgrade", "--data-dir", str(tmp_path))

    refused = run("demo", "--reset", "--data-dir", str(tmp_path))

    assert refused.returncode == 2
    assert (tmp_path / "db" / "money.db").exists()


def test_a_demo_is_neither_served_as_real_nor_reset_while_it_runs(demo: Demo) -> None:
    assert demo.run("serve").returncode == 2
    assert demo.run("demo", "--reset").returncode == 1
    assert len(demo.json("accounts")["items"]) == 3


# Living and ending


async def test_a_demo_that_is_killed_leaves_no_process_and_comes_back_as_it_was(
    tmp_path: Path,
) -> None:
    with running_demo(tmp_path) as first:
        code = first.said["setup_link"].partition("#k=")[2]
        first.post("/api/user/setup", USER | {"code": code, "currency": "EUR"})
        accounts = {item["id"]: item["label"] for item in first.json("accounts")["items"]}
        await eventually(lambda: is_read(first))
        held = quantities(first)
        first.process.kill()
        first.process.wait(LIMIT_S)
        await eventually(lambda: not answers(first.said["simulator"]))

    with running_demo(tmp_path) as second:
        assert second.said["setup_link"] is None
        assert second.post("/api/user/login", USER)["user"]["username"] == "ada"
        again = {item["id"]: item["label"] for item in second.json("accounts")["items"]}
        assert again == accounts
        assert len(again) == 3
        await eventually(lambda: is_read(second))
        assert quantities(second).keys() == held.keys()

        assert second.stop(signal.SIGTERM) == 0
        assert not answers(second.said["simulator"])
        assert not (tmp_path / SERVER_FILE).exists()


def is_read(demo: Demo) -> bool:
    accounts = demo.json("accounts")["items"]
    return all(account["status"] == "ok" for account in accounts) and bool(quantities(demo))


def quantities(demo: Demo) -> dict[tuple[str, str], str]:
    positions = demo.json("portfolio")["positions"]
    return {(p["account_id"], p["symbol"] or p["asset"]): p["quantity"] for p in positions}


def test_a_demo_ends_with_the_terminals_interrupt(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        assert demo.stop(signal.SIGINT) == 0
        assert not answers(demo.said["simulator"])


async def test_simulate_says_its_address_and_fake_keys_and_ends_when_told() -> None:
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "simulate", "--port", "0", "--json"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said = json.loads(await asyncio.wait_for(process.stdout.readuntil(b"\n}\n"), LIMIT_S))
    assert len(said["accounts"]) == 3
    assert all(account["api_key"].startswith("sim-") for account in said["accounts"])
    assert answers(said["url"])

    process.terminate()

    assert await asyncio.wait_for(process.wait(), LIMIT_S) == 0
    assert not answers(said["url"])


def test_a_thread_that_does_not_end_does_not_keep_the_process() -> None:
    stuck = (
        "import sys, threading; from alphapulse.cli.app import main;"
        "threading.Thread(target=threading.Event().wait, name='stuck').start();"
        "sys.argv = ['alphapulse', '--help']; main()"
    )

    ended = subprocess.run(
        [sys.executable, "-c", stuck], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )

    assert ended.returncode == 1
    assert "not_stopped" in ended.stderr


def test_every_command_prints_json_for_programs() -> None:
    commands = dict(leaves("alphapulse", app))
    without = [
        name for name, call in commands.items() if "as_json" not in signature(call).parameters
    ]

    assert len(commands) >= 11
    assert not without


def leaves(name: str, group: typer.Typer) -> Iterator[tuple[str, Callable[..., object]]]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield f"{name} {command.name}", command.callback
    for child in group.registered_groups:
        assert child.typer_instance is not None
        yield from leaves(f"{name} {child.name}", child.typer_instance)
