"""State file: where accounts live between two runs. Whole or not at all, decimals as text."""

import asyncio
import os
from pathlib import Path

import msgspec
from loguru import logger

from alphapulse.errors import ConfigurationInvalid
from alphapulse.simulator.core.events import (
    BalancesChanged,
    CoreEvent,
    CrossingChanged,
    LeverageChanged,
    OrderChanged,
    PositionChanged,
)
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.state import VERSION, Photographer, SavedState, restore
from alphapulse.simulator.world import World

# A crash costs at most this much of what happened; a stop costs nothing.
WRITE_EVERY_S = 1.0

# A large state takes its time to write; the venues should have most of it.
REST_FACTOR = 20


_SAVED = OrderChanged | BalancesChanged | CrossingChanged | PositionChanged | LeverageChanged


class _Version(msgspec.Struct):
    version: int


def load(path: Path, world: World) -> frozenset[str]:
    """Put the accounts of a file into a world; their labels, none when there is no file yet.

    Raises:
        ConfigurationInvalid: the file was cut, is of another version, or is no state file.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise _unusable(path, str(error)) from error
    try:
        version = msgspec.json.decode(data, type=_Version).version
        if version != VERSION:
            raise _unusable(path, f"it is of version {version}, and this is version {VERSION}")
        state = msgspec.json.decode(data, type=SavedState)
        restore(world, state)
    except (msgspec.MsgspecError, ValueError, Refused) as error:
        raise _unusable(path, str(error)) from error
    return frozenset(account.label for account in world.accounts)


class StateKeeper:
    """Writes the file soon after something changed, and at the end."""

    def __init__(self, path: Path, world: World) -> None:
        self._path = path
        self._photographer = Photographer(world)
        self._changed = asyncio.Event()
        for venue in world.venues.values():
            venue.subscribe(self._hear)

    async def run(self) -> None:
        """Until canceled. A disk that is full is said once, and tried again."""
        loop = asyncio.get_running_loop()
        is_failing = False
        while True:
            await self._changed.wait()
            self._changed.clear()
            began = loop.time()
            try:
                self.write()
            except OSError as error:
                if not is_failing:
                    logger.bind(file=str(self._path), error=str(error)).error(
                        "simulated accounts are not saved"
                    )
                self._changed.set()
                is_failing = True
            else:
                is_failing = False
            await asyncio.sleep(max(WRITE_EVERY_S, REST_FACTOR * (loop.time() - began)))

    def write(self) -> None:
        """Replace the file with what is true now.

        Raises:
            OSError: the disk would not have it; the old file is still there.
        """
        data = msgspec.json.encode(self._photographer.take())
        temporary = self._path.with_name(f"{self._path.name}.new")
        # Keys are fake, but balances are somebody's game: nobody else's business.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)

    def _hear(self, event: CoreEvent) -> None:
        if isinstance(event, _SAVED):
            self._changed.set()


def _unusable(path: Path, why: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(
        f"the simulator's state file cannot be used: {why}; move it away to begin anew",
        file=str(path),
    )
