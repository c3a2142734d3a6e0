"""Passwords: argon2id at a floor, two at a time, and the same answer for unknown users."""

import asyncio
import threading

import pytest
from argon2 import PasswordHasher

from alphapulse.errors import ConfigurationInvalid, InvalidInput, TooManyRequests
from alphapulse.security import passwords as module
from alphapulse.security.passwords import (
    FLOOR_MEMORY_KIB,
    FLOOR_PASSES,
    Cost,
    Passwords,
    require_acceptable,
)
from tests.eventually import LIMIT_S
from tests.password_work import guesses_of

FLOOR = Cost(FLOOR_MEMORY_KIB, FLOOR_PASSES)
GOOD = "correct horse battery"


async def test_the_right_password_and_only_that_matches() -> None:
    passwords = Passwords(FLOOR)
    stored = await passwords.hash(GOOD)
    assert await passwords.verify(stored, GOOD)
    assert not await passwords.verify(stored, GOOD.upper())
    assert not await passwords.verify(stored, GOOD + " ")


async def test_two_hashes_of_one_password_differ_and_hold_no_password() -> None:
    passwords = Passwords(FLOOR)
    one, other = await passwords.hash(GOOD), await passwords.hash(GOOD)
    assert one != other
    assert GOOD not in one


async def test_the_default_is_argon2id_with_64_mib_three_passes_one_lane() -> None:
    assert (await Passwords().hash(GOOD)).startswith("$argon2id$v=19$m=65536,t=3,p=1$")


@pytest.mark.parametrize("parameters", [(FLOOR_MEMORY_KIB - 1, 3, 1), (65536, 1, 1), (65536, 3, 0)])
def test_a_cost_below_the_floor_is_refused(parameters: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigurationInvalid):
        Cost(*parameters)


async def test_an_unknown_user_costs_as_much_as_a_wrong_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passwords = Passwords(FLOOR)
    stored = await passwords.hash(GOOD)
    work = guesses_of(monkeypatch)

    assert not await passwords.verify(stored, "wrong")
    assert not await passwords.verify(None, "wrong")

    known, unknown = work
    assert unknown == known


async def test_a_stored_text_that_is_no_hash_never_matches() -> None:
    assert not await Passwords(FLOOR).verify("plain", "plain")


async def test_a_hash_of_another_cost_is_outdated() -> None:
    stored = await Passwords(FLOOR).hash(GOOD)
    assert not Passwords(FLOOR).is_outdated(stored)
    assert Passwords(Cost(FLOOR_MEMORY_KIB, FLOOR_PASSES + 1)).is_outdated(stored)


async def test_no_more_than_two_are_hashed_at_once_and_the_loop_stays_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passwords = Passwords(FLOOR)
    running, most = 0, 0
    lock = threading.Lock()
    two = threading.Barrier(2, timeout=LIMIT_S)

    def hash_slowly(_: PasswordHasher, password: str) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        two.wait()
        with lock:
            running -= 1
        return password

    monkeypatch.setattr(PasswordHasher, "hash", hash_slowly)
    await asyncio.gather(*(passwords.hash(str(number)) for number in range(10)))
    assert most == 2


async def test_a_crowd_of_logins_is_turned_away_instead_of_queued(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WAITING_AT_MOST", 3)
    passwords = Passwords(FLOOR)
    answers = await asyncio.gather(
        *(passwords.verify(None, "guess") for _ in range(10)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, TooManyRequests)]
    assert len(refused) == 10 - 2 - 3
    assert refused[0].retry_after_s


@pytest.mark.parametrize(
    "bad",
    [
        "short",
        "x" * 257,
        "aaaaaaaaaaaaaaaa",
        "my Name is Alice!",
        "AlphaPulse-2026",
        "abababababab",
    ],
)
def test_guessable_passwords_are_refused(bad: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        require_acceptable(bad, username="alice")
    assert refusal.value.facts["field"] == "password"
    assert bad not in str(refusal.value)


@pytest.mark.parametrize("good", [GOOD, "ein sehr langer Satz ohne Ziffern", "пароль подлиннее"])
def test_length_is_enough(good: str) -> None:
    require_acceptable(good, username="alice")
