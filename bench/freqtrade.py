"""The peer: freqtrade in an environment of its own, offline, configured as its documents say.

It is never a dependency of the product. The environment is made on first use under ``.bench/``;
``BENCH_FREQTRADE`` names another one.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.server import ServerProcess, free_port

VERSION = "2026.9"
USERNAME, PASSWORD = "bench", "bench"
AUTHORIZATION = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
CONFIGURED = "/api/v1/show_config"
BALANCE = "/api/v1/balance"

STRATEGY = """
from freqtrade.strategy import IStrategy


class Rest(IStrategy):
    timeframe = "5m"
    minimal_roi = {}
    stoploss = -0.99

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
"""

# Run by freqtrade's own interpreter, with the database and the pairs as arguments.
OPEN_TRADES = """
import sys
from datetime import datetime, timezone

from freqtrade.persistence import Order, Trade, init_db

init_db(sys.argv[1])
now = datetime.now(timezone.utc)
for number, pair in enumerate(sys.argv[2:]):
    trade = Trade(
        exchange="binance", pair=pair, base_currency=pair.split("/")[0], stake_currency="USDT",
        is_open=True, fee_open=0.001, fee_close=0.001, open_rate=100.0, open_trade_value=100.1,
        stake_amount=100.0, amount=1.0, amount_requested=1.0, open_date=now, strategy="Rest",
        timeframe=5, stop_loss=1.0, initial_stop_loss=1.0, stop_loss_pct=-0.99,
        initial_stop_loss_pct=-0.99, max_rate=100.0, min_rate=100.0, trading_mode="spot",
    )
    trade.orders.append(Order(
        ft_order_side="buy", ft_pair=pair, ft_is_open=False, ft_amount=1.0, ft_price=100.0,
        order_id=f"dry_run_buy_{number}", status="closed", symbol=pair, order_type="limit",
        side="buy", price=100.0, average=100.0, amount=1.0, filled=1.0, remaining=0.0, cost=100.0,
        order_date=now, order_filled_date=now,
    ))
    Trade.session.add(trade)
Trade.commit()
"""


def environment() -> Path:
    """The folder with freqtrade installed in it; made when it is missing."""
    given = os.environ.get("BENCH_FREQTRADE")
    if given:
        return Path(given)
    folder = Path(__file__).parents[1] / ".bench" / f"freqtrade-{VERSION}"
    if not (folder / "bin" / "freqtrade").exists():
        _install(folder)
    return folder


def _install(folder: Path) -> None:
    wanted = f"freqtrade=={VERSION}"
    python = folder / "bin" / "python"
    print(f"installing {wanted} into {folder} (once) ...", file=sys.stderr)
    if shutil.which("uv"):
        subprocess.run(["uv", "venv", "-q", "--python", sys.executable, folder], check=True)
        command: list[str | Path] = ["uv", "pip", "install", "-q", "--python", python]
        subprocess.run([*command, "--compile-bytecode", wanted], check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", wanted], check=True)


@dataclass(frozen=True)
class Freqtrade:
    """One configured freqtrade: its own folder, port, and database."""

    environment: Path
    folder: Path
    port: int

    @property
    def binary(self) -> Path:
        return self.environment / "bin" / "freqtrade"

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder / 'trades.sqlite'}"

    def webserver(self) -> ServerProcess:
        """Its API alone."""
        config = self._configured({})
        return self._server("webserver", "--config", config)

    def trading(self, simulator_url: str, pairs: list[str]) -> ServerProcess:
        """A dry run with one open trade in each pair, on the simulated Binance.

        Its own loop runs once and then rests: that is no part of a request.
        """
        config = self._configured(
            {
                "exchange": _exchange(simulator_url, pairs),
                "db_url": self.database,
                "internals": {"process_throttle_secs": 3600},
            }
        )
        strategies = self.folder / "strategies"
        strategies.mkdir()
        (strategies / "rest.py").write_text(STRATEGY)
        python = self.environment / "bin" / "python"
        subprocess.run([python, "-c", OPEN_TRADES, self.database, *pairs], check=True)
        return self._server(
            "trade", "--config", config, "--strategy", "Rest", "--strategy-path", strategies
        )

    def _server(self, *arguments: str | Path) -> ServerProcess:
        user_data = ("--userdir", self.folder / "user")
        (self.folder / "user").mkdir(exist_ok=True)
        return ServerProcess([self.binary, *arguments, *user_data], log=self.folder / "log")

    def _configured(self, more: dict[str, Any]) -> Path:
        file = self.folder / "config.json"
        file.write_text(json.dumps(_config(self.port) | more))
        return file


def freqtrade_in(folder: Path) -> Freqtrade:
    """A fresh one in an empty folder."""
    folder.mkdir()
    return Freqtrade(environment(), folder, free_port())


def _config(port: int) -> dict[str, Any]:
    price = {"price_side": "same", "use_order_book": False}
    return {
        "bot_name": "bench",
        "initial_state": "running",
        "dry_run": True,
        "dry_run_wallet": 100_000,
        "stake_currency": "USDT",
        "stake_amount": 100,
        "max_open_trades": -1,
        "timeframe": "5m",
        "entry_pricing": price,
        "exit_pricing": price,
        "pairlists": [{"method": "StaticPairList"}],
        "exchange": {"name": "binance", "key": "", "secret": "", "pair_whitelist": ["BTC/USDT"]},
        "api_server": {
            "enabled": True,
            "listen_ip_address": "127.0.0.1",
            "listen_port": port,
            "username": USERNAME,
            "password": PASSWORD,
            "jwt_secret_key": "0123456789abcdef0123456789abcdef",
            "enable_openapi": False,
        },
    }


def _exchange(simulator_url: str, pairs: list[str]) -> dict[str, Any]:
    host = f"{simulator_url}/api.binance.com"
    api = {
        "public": f"{host}/api/v3",
        "private": f"{host}/api/v3",
        "sapi": f"{host}/sapi/v1",
    }
    return {
        "name": "binance",
        "key": "",
        "secret": "",
        "pair_whitelist": pairs,
        "enable_ws": False,
        "ccxt_config": {
            "urls": {"api": api},
            "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False},
        },
    }
