"""Logging: one line an event, values beside the message, and no secret whoever logs it."""

import io
import json
import logging
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pydantic import SecretStr, ValidationError

from alphapulse.observability import redaction
from alphapulse.observability.logging import LoggingSettings, configure
from alphapulse.observability.redaction import LONGEST_CHARACTERS, REDACTED, hide, redacted

CANARY = "canary8f3kQx7Vt2"


@pytest.fixture(autouse=True)
def left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    monkeypatch.setattr(redaction, "_known", ())
    yield
    logger.remove()
    root.handlers, root.level = handlers, level


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def json_log(level: str = "DEBUG") -> io.StringIO:
    stream = io.StringIO()
    configure(LoggingSettings(stderr_level=level, format="json"), stream)  # type: ignore[arg-type]
    return stream


def test_a_line_is_json_with_time_level_message_place_and_the_bound_values() -> None:
    stream = json_log()
    logger.bind(symbol="BTC/USDT", attempt=3).warning("ticker stream lost")
    (line,) = lines_of(stream)
    assert line["message"] == "ticker stream lost"
    assert line["level"] == "WARNING"
    assert (line["symbol"], line["attempt"]) == ("BTC/USDT", 3)
    assert line["at"].endswith("Z")
    assert line["where"].startswith("tests.unit.observability.test_logging:")


def test_context_is_on_every_line_within_it_and_on_none_after_it() -> None:
    stream = json_log()
    with logger.contextualize(request_id="r-1"):
        logger.info("inside")
    logger.info("outside")
    inside, outside = lines_of(stream)
    assert inside["request_id"] == "r-1"
    assert "request_id" not in outside


def test_a_terminal_gets_text_and_a_pipe_gets_json() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    configure(LoggingSettings(), terminal)
    logger.bind(symbol="BTC/USDT").warning("subscribed")
    configure(LoggingSettings(), pipe)
    logger.bind(symbol="BTC/USDT").warning("subscribed")
    assert "subscribed  symbol=BTC/USDT" in terminal.getvalue()
    assert lines_of(pipe)[0]["symbol"] == "BTC/USDT"


def test_configuring_again_replaces_what_was_there() -> None:
    first, second = json_log(), json_log()
    logger.info("once")
    assert first.getvalue() == ""
    assert len(lines_of(second)) == 1


def test_lines_below_the_level_are_left_out() -> None:
    stream = json_log("WARNING")
    logger.info("quiet")
    logging.getLogger("uvicorn").info("quiet")
    logger.warning("loud")
    assert [line["message"] for line in lines_of(stream)] == ["loud"]


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError):
        LoggingSettings.model_validate({"colour": True})


def test_the_file_is_json_and_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "alphapulse.log"
    configure(LoggingSettings(file=file, format="text"), io.StringIO())
    logger.bind(password=CANARY).info("started")
    logger.remove()
    assert json.loads(file.read_text())["password"] == REDACTED
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_person_sees_what_is_wrong_and_the_file_keeps_what_led_to_it(tmp_path: Path) -> None:
    terminal, file = Terminal(), tmp_path / "alphapulse.log"
    configure(LoggingSettings(file=file), terminal)
    logger.info("stream connected")
    logger.warning("stream lost")
    logger.remove()
    assert "stream lost" in terminal.getvalue()
    assert "stream connected" not in terminal.getvalue()
    assert [json.loads(line)["level"] for line in file.read_text().splitlines()] == [
        "INFO",
        "WARNING",
    ]


def test_a_full_file_makes_room_and_only_so_many_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "alphapulse.log"
    configure(LoggingSettings(file=file, file_max_mb=1, files_kept=2), io.StringIO())
    for _ in range(500):
        logger.bind(text="x" * 10_000).info("filling")
    logger.remove()
    files = list(tmp_path.iterdir())
    assert 2 <= len(files) <= 3
    assert all(path.stat().st_size <= 1_000_000 for path in files)


def test_what_libraries_log_arrives_under_their_name() -> None:
    stream = json_log()
    logging.getLogger("uvicorn.error").warning("%s {braces} stay", "values and")
    (line,) = lines_of(stream)
    assert line["message"] == "values and {braces} stay"
    assert line["where"].startswith("uvicorn.error:")


@pytest.mark.parametrize("name", ["ccxt", "ccxt.base.exchange"])
def test_ccxt_says_nothing_below_info_even_when_told_to(name: str) -> None:
    stream = json_log()
    library = logging.getLogger(name)
    library.setLevel(logging.DEBUG)
    try:
        library.debug("binance POST https://api.binance.com/order %s", CANARY)
        library.info("kept")
    finally:
        library.setLevel(logging.NOTSET)
    assert [line["message"] for line in lines_of(stream)] == ["kept"]


@pytest.mark.parametrize("hostile", ["a\nERROR forged", "a\r\nb", "\x1b[2J\x1b[31m", "a\u2028b"])
def test_a_hostile_value_makes_neither_a_line_nor_a_colour_of_its_own(hostile: str) -> None:
    text, as_json = Terminal(), io.StringIO()
    for stream in (text, as_json):
        configure(LoggingSettings(), stream)
        logger.bind(symbol=hostile).warning("received")
    colours_of_ours = text.getvalue().count("\x1b")
    configure(LoggingSettings(), text)
    logger.bind(symbol="harmless").warning("received")
    assert text.getvalue().count("\x1b") == 2 * colours_of_ours
    assert len(text.getvalue().split("\n")) == 2 + 1
    assert len(as_json.getvalue().split("\n")) == 1 + 1
    assert lines_of(as_json)[0]["symbol"] == hostile


def fail_with_secret_variables() -> None:
    api_secret = CANARY
    raise ValueError(f"signature={api_secret} refused")


def plant_canaries() -> None:
    """Every way we could think of in which a secret gets into a log."""
    hide(CANARY)
    log = logger.bind(
        api_key=CANARY, apiSecret=CANARY, headers={"Authorization": f"Bearer {CANARY}"}
    )
    log.debug("field names")
    logger.bind(nested=[{"deep": {"X-MBX-APIKEY": CANARY}}, ("token", CANARY)]).info("nested")
    logger.bind(url=f"https://api.binance.com/order?timestamp=1&signature={CANARY}").info("query")
    logger.bind(value=CANARY, other={CANARY: 1}).info("a harmless name")
    logger.bind(password=SecretStr(CANARY)).info("a secret type")
    logger.bind(**{f"name {CANARY}": 1}).info("a field name")
    logger.info("in the message " + CANARY)
    with logger.contextualize(cookie=CANARY, note=CANARY):
        logger.info("context")
    logging.getLogger("ccxt").warning("body {'apiKey': '%s'}", CANARY)
    logging.getLogger("aiohttp.access").error("GET /?token=%s", CANARY)
    try:
        fail_with_secret_variables()
    except ValueError as error:
        logger.opt(exception=error).error("failed")
        logging.getLogger("asyncio").exception("failed in a library")
    try:
        raise ExceptionGroup("several", [KeyError(CANARY), OSError(CANARY)])
    except ExceptionGroup as group:
        logger.opt(exception=group).error("failed together")


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["json", "text"])
def test_no_canary_reaches_the_log_in_any_way(stream: io.StringIO, tmp_path: Path) -> None:
    file = tmp_path / "alphapulse.log"
    configure(LoggingSettings(level="DEBUG", stderr_level="DEBUG", file=file), stream)
    plant_canaries()
    logger.remove()
    assert stream.getvalue().count("failed") >= 3
    assert CANARY not in stream.getvalue()
    assert CANARY not in file.read_text()


def test_without_the_filter_the_canaries_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    from alphapulse.observability import logging as module

    monkeypatch.setattr(module, "redacted", lambda text: text)
    monkeypatch.setattr(module, "redacted_fields", lambda fields: {**fields})
    stream = json_log()
    plant_canaries()
    assert stream.getvalue().count(CANARY) > 10


@pytest.mark.parametrize(
    "text",
    [
        f"https://h/p?a=1&signature={CANARY}&b=2",
        f'{{"apiKey":"{CANARY}","a":1}}',
        f"{{'api_secret': '{CANARY}'}}",
        f"X-MBX-APIKEY: {CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"authorization=Basic {CANARY}",
        f"sent Bearer {CANARY}xxxx to it",
        f"postgresql://user:{CANARY}@host/db",
        f"password={CANARY}",
        f"passphrase : {CANARY}",
        f"Set-Cookie: __Host-session={CANARY}; Secure",
        f"listen_token={CANARY}",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
        f"eyJhbGciOiJIUzI1NiJ9.{CANARY}.{CANARY}",
        f"ap_12345678_{CANARY}{CANARY}",
    ],
)
def test_the_shape_alone_gives_a_secret_away(text: str) -> None:
    assert CANARY not in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "BTC/USDT last=70000.5 bid=70000",
        "account a-1 on binance: 3 positions",
        "https://api.binance.com/api/v3/time?symbol=BTCUSDT",
        "2026-11-23T12:00:00.000Z key_version 1",
        "ValueError: bad frame (exchange=binance, http_status=502)",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "text",
    ["x" * 1_000_000, "eyJ-" * 100_000, "token" * 100_000, "://a:" * 100_000, "=: " * 99_999],
)
def test_hostile_text_is_redacted_quickly_and_cut(text: str) -> None:
    before = time.process_time()
    assert len(redacted(text)) <= LONGEST_CHARACTERS
    assert time.process_time() - before < 10  # of the processor, where a quadratic one takes hours


def test_a_known_secret_is_hidden_also_when_it_is_quoted_for_a_url() -> None:
    hide("a/secret+value=")
    assert "secret" not in redacted("x a%2Fsecret%2Bvalue%3D y a/secret+value= z")


def test_the_memory_of_known_secrets_is_bounded_and_keeps_the_newest() -> None:
    for number in range(2 * redaction.KNOWN_AT_MOST):
        hide(f"secret/{number:08}")
    assert len(redaction._known) == redaction.KNOWN_AT_MOST
    assert redacted(f"x secret/{2 * redaction.KNOWN_AT_MOST - 1:08}") == f"x {REDACTED}"


def test_too_short_a_value_is_not_hidden_because_the_log_would_be_unreadable() -> None:
    hide("a")
    assert redacted("a ticker") == "a ticker"


def test_threads_do_not_mix_their_lines() -> None:
    stream = json_log()
    threads = [
        threading.Thread(target=lambda n=n: [logger.bind(n=n).info("x") for _ in range(100)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines_of(stream)) == 800
