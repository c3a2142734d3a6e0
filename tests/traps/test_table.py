"""The table of traps: each id has its tests, or is said to come later and why."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent

TRAPS = {
    "T-01": "the answer is lost, and the order is placed once",
    "T-02": "it was filled before the look, and is found",
    "T-03": "the database is locked: nothing is sent without a claim, no answer is lost",
    "T-04": "an outage ends no order",
    "T-05": "a fill after the end counts and is said",
    "T-06": "a restart invents no fill against a position",
    "T-07": "working orders survive an incomplete history",
    "T-08": "restarts add no row",
    "T-09": "what is ours is known by its id, never by its time",
    "T-10": "an answer without an id is unknown",
    "T-11": "a filled order stays filled",
    "T-12": "an amendment after a partial fill leaves what is left",
    "T-13": "stream and poll count a fill once",
    "T-14": "a fill without an id, or with that of another",
    "T-15": "empty answers leave balances alone; refused plans come with rebalancing, issue 4",
    "T-16": "no order at an old price",
    "T-17": "liveness by data",
    "T-18": "a listen key that is gone",
    "T-19": "no binary float",
    "T-20": "fees in the coin that is bought, in quote, in a third one",
    "T-21": "a clock that is off",
    "T-22": "a fallback price carries its currency and its age",
    "T-24": "a history that keeps something back",
}

LATER = {
    "T-23": "alerts on prices, with the latch that this is about, come with issue 6",
}


def test_every_trap_has_a_test_or_a_reason_to_come_later() -> None:
    found = {
        f"T-{number}"
        for file in FOLDER.glob("test_*.py")
        for number in re.findall(r"^(?:async )?def test_t(\d\d)_", file.read_text(), re.MULTILINE)
    }
    assert found == set(TRAPS)
    assert {f"T-{number:02d}" for number in range(1, 25)} == TRAPS.keys() | LATER.keys()
