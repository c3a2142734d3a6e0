"""Intents: names that repeat themselves, and the proof that an order is not there."""

import re
from datetime import timedelta

from alphapulse.domain.absence import AbsenceProof, Look
from alphapulse.domain.intent import client_order_id, is_our_name
from tests.builders import ACCOUNT, NOW, USER, make_intent

SECOND = timedelta(seconds=1)
LISTS = frozenset({Look.OPEN_ORDERS, Look.FILLS})


def test_the_same_key_of_the_same_caller_gives_the_same_name() -> None:
    name = client_order_id(ACCOUNT, USER, "key")
    assert name == client_order_id(ACCOUNT, USER, "key")
    assert len({name, client_order_id(ACCOUNT, None, "key"), make_intent().client_order_id}) == 3


def test_a_name_is_good_at_every_venue_and_known_as_ours() -> None:
    name = client_order_id(ACCOUNT, USER, "a key with spaces and \u00fc")
    assert re.fullmatch("[a-z0-9]{28}", name)
    assert is_our_name(name)
    assert not any(map(is_our_name, (None, "", "x-TKT5PX2F123", name + "x", name.upper())))


def test_three_clean_looks_at_two_kinds_of_list_prove_absence() -> None:
    proof = AbsenceProof(NOW)
    for number in range(3):
        assert not proof.is_complete
        proof.absent(LISTS, NOW + number * SECOND)
    assert proof.is_complete


def test_looks_before_the_request_can_have_arrived_prove_nothing() -> None:
    proof = AbsenceProof(NOW)
    for _ in range(5):
        proof.absent(LISTS, NOW - SECOND)
    assert not proof.is_complete


def test_one_kind_of_list_is_not_enough_however_often() -> None:
    proof = AbsenceProof(NOW)
    for _ in range(5):
        proof.absent(frozenset({Look.BY_NAME}), NOW)
    assert not proof.is_complete


def test_a_balance_that_moved_starts_the_proof_anew() -> None:
    proof = AbsenceProof(NOW)
    for _ in range(3):
        proof.absent(LISTS, NOW)
    proof.doubt()
    proof.absent(LISTS, NOW)
    assert not proof.is_complete
