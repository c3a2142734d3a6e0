"""Authentication: passwords, hashed with argon2id a few at a time.

Source: RFC 9106 and the OWASP password storage cheat sheet, checked 2026-11.
"""

import asyncio
import base64
import secrets
from dataclasses import dataclass

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from alphapulse.errors import ConfigurationInvalid, InvalidInput, TooManyRequests

SHORTEST, LONGEST = 12, 256
FEWEST_DIFFERENT = 5  # "aaaaaaaaaaaa" is long and no password
AT_ONCE = 2  # each takes 64 MiB and a core for about 0.2 s
WAITING_AT_MOST = 32  # about four seconds of waiting; whoever comes then is told to come back

_SALT_BYTES = 16
_TAG_BYTES = 32


@dataclass(frozen=True, slots=True)
class Cost:
    """How dear one guess is. Below the floor of OWASP it is refused."""

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 1

    def __post_init__(self) -> None:
        if self.memory_kib < FLOOR_MEMORY_KIB or self.passes < FLOOR_PASSES or self.lanes < 1:
            raise ConfigurationInvalid(
                "password hashing would be too cheap",
                memory_kib=self.memory_kib,
                passes=self.passes,
                lanes=self.lanes,
            )


FLOOR_MEMORY_KIB, FLOOR_PASSES = 19 * 1024, 2


class Passwords:
    """Hashes and checks passwords without blocking the loop; belongs to one loop."""

    def __init__(self, cost: Cost = Cost()) -> None:
        self._hasher = PasswordHasher(
            time_cost=cost.passes,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            hash_len=_TAG_BYTES,
            salt_len=_SALT_BYTES,
            type=Type.ID,
        )
        self._decoy = _decoy(cost)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Make the text to store; it carries its own salt and cost."""
        await self._enter()
        try:
            return await asyncio.to_thread(self._hasher.hash, password)
        finally:
            self._turns.release()

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether ``password`` is the one ``stored`` was made of.

        ``None`` stands for a user who does not exist: it costs the same time and is never right.

        Raises:
            TooManyRequests: Too many wait for their turn already.
        """
        await self._enter()
        try:
            return await asyncio.to_thread(self._matches, stored or self._decoy, password)
        finally:
            self._turns.release()

    def is_outdated(self, stored: str) -> bool:
        """Whether ``stored`` was made at another cost and should be made anew at this login."""
        return self._hasher.check_needs_rehash(stored)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False

    async def _enter(self) -> None:
        if self._waiting >= WAITING_AT_MOST:
            raise TooManyRequests("too many logins at once", retry_after_s=5)
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1


def require_acceptable(password: str, *, username: str) -> None:
    """Refuse what is guessed first: length counts, kinds of characters do not.

    Raises:
        InvalidInput: With the reason, naming the field ``password``.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        problem = f"a password has {SHORTEST} to {LONGEST} characters"
    elif len(set(password)) < FEWEST_DIFFERENT:
        problem = f"a password has at least {FEWEST_DIFFERENT} different characters"
    elif username.casefold() in password.casefold() or "alphapulse" in password.casefold():
        problem = "a password holds neither the username nor the name of the product"
    else:
        return
    raise InvalidInput(problem, field="password")


def _decoy(cost: Cost) -> str:
    """A well-formed hash of nothing: checking against it takes as long as against a real one."""
    salt, tag = (
        base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
        for size in (_SALT_BYTES, _TAG_BYTES)
    )
    parameters = f"m={cost.memory_kib},t={cost.passes},p={cost.lanes}"
    return f"$argon2id$v=19${parameters}${salt}${tag}"
