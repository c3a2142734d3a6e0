"""Opaque credentials: enough randomness, forgiving to type, stored as hashes."""

import math

from alphapulse.security.opaque import (
    is_same,
    new_setup_code,
    new_token,
    setup_code_hash,
    token_hash,
)


def test_tokens_differ_and_carry_256_bits() -> None:
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {43}


def test_a_setup_code_is_groups_of_four_and_carries_more_than_128_bits() -> None:
    code = new_setup_code()
    groups = code.split("-")
    assert {len(group) for group in groups} == {4}
    letters = {letter for _ in range(500) for letter in new_setup_code()} - {"-"}
    assert len(letters) == 32
    assert math.log2(32) * sum(map(len, groups)) >= 128


def test_a_setup_code_may_be_typed_carelessly() -> None:
    assert setup_code_hash("7QFB-2M9K-XT01") == setup_code_hash(" 7qfb2m9k xtOl ")
    assert setup_code_hash("7QFB-2M9K-XT01") != setup_code_hash("7QFB-2M9K-XT02")


def test_hashes_say_nothing_of_the_token_and_compare() -> None:
    token = new_token()
    assert token not in token_hash(token)
    assert is_same(token_hash(token), token_hash(token))
    assert not is_same(token_hash(token), token_hash(token + "x"))
