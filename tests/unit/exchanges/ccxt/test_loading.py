"""Loading: one exchange comes alone, every exchange comes, and the fall-back changes nothing."""

import logging
import subprocess
import sys

import pytest

from alphapulse.exchanges.ccxt import loading


def in_a_fresh_interpreter(code: str) -> str:
    """What a program prints that has not imported CCXT yet."""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_one_exchange_comes_without_the_others() -> None:
    loaded = in_a_fresh_interpreter(
        "import sys\n"
        "from alphapulse.exchanges.ccxt import loading\n"
        "loading.exchange_class('kraken'), loading.exchange_class('binanceusdm', pro=True)\n"
        "names = (name.split('.') for name in sorted(sys.modules))\n"
        "print(*(n[2] for n in names if n[:2] == ['ccxt', 'async_support'] and len(n) == 3))"
    )

    assert loaded.split() == ["base", "binance", "binanceusdm", "kraken"]


def test_the_fall_back_runs_ccxts_own_init_over_the_same_classes() -> None:
    said = in_a_fresh_interpreter(
        "from alphapulse.exchanges.ccxt import loading\n"
        "before = loading.exchange_class('kraken')\n"
        "error = loading.base_error()\n"
        "loading._load_everything()\n"
        "import ccxt, ccxt.async_support, ccxt.pro\n"
        "print(ccxt.async_support.kraken is before, ccxt.BaseError is error)\n"
        "print(len(ccxt.exchanges) == len(loading.known_exchanges()))"
    )

    assert said.split() == ["True", "True", "True"]


def test_a_ccxt_that_is_imported_already_is_left_alone() -> None:
    said = in_a_fresh_interpreter(
        "import ccxt.async_support\n"
        "from alphapulse.exchanges.ccxt import loading\n"
        "print(loading.exchange_class('kraken') is ccxt.async_support.kraken)\n"
        "print('kraken' in loading.known_exchanges(pro=True))"
    )

    assert said.split() == ["True", "True"]


@pytest.mark.parametrize("pro", [False, True], ids=["rest", "pro"])
def test_every_exchange_is_imported_and_made_alone(pro: bool) -> None:
    names = loading.known_exchanges(pro=pro)
    assert len(names) > 70

    for name in sorted(names):
        assert loading.exchange_class(name, pro=pro)().id == name


def test_an_exchange_that_is_not_there_says_so() -> None:
    with pytest.raises(ModuleNotFoundError):
        loading.exchange_class("binnance")


def test_ccxt_may_not_log_requests() -> None:
    # At DEBUG it writes keys and signatures.
    loading.prepare()

    assert not logging.getLogger("ccxt.base.exchange").isEnabledFor(logging.DEBUG)
