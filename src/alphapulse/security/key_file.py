"""Secure Storage: the master key, in one file that only its owner may read."""

import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from alphapulse.errors import ConfigurationInvalid

KEY_FILE_NAME = "master.key"
KEY_BYTES = 32
_HEADER = "alphapulse-master-key"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class MasterKey:
    """256 random bits from which every key of this installation is derived.

    ``version`` counts rotations; whatever is sealed says under which it was.
    """

    version: int
    _secret: bytes = field(repr=False)

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Read the key, or make one when there is none.

        Raises:
            ConfigurationInvalid: Others may read the file, or it holds no key.
        """
        if not path.exists():
            _create(path, f"{_HEADER} 1 {secrets.token_hex(KEY_BYTES)}\n")
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the key; raises as `load_or_create`, and when there is none."""
        try:
            with path.open(encoding="ascii") as file:
                _refuse_if_others_may_read(path, os.fstat(file.fileno()).st_mode)
                header, version, digits = file.read(1000).split()
            secret = bytes.fromhex(digits)
        except (OSError, ValueError) as error:
            raise ConfigurationInvalid("cannot read a master key", path=str(path)) from error
        if header != _HEADER or len(secret) != KEY_BYTES:
            raise ConfigurationInvalid("this file holds no master key", path=str(path))
        return cls(int(version), secret)

    def derive(self, purpose: str) -> bytes:
        """A 256-bit key for one purpose, from which neither this key nor another one follows."""
        hkdf = HKDF(SHA256(), KEY_BYTES, salt=None, info=f"alphapulse {purpose}".encode())
        return hkdf.derive(self._secret)


def _refuse_if_others_may_read(path: Path, mode: int) -> None:
    if os.name == "posix" and mode & _OTHERS:
        raise ConfigurationInvalid(
            "others may read the master key; run: chmod 600 " + str(path),
            path=str(path),
            mode=oct(stat.S_IMODE(mode)),
        )


def _create(path: Path, text: str) -> None:
    """Write it whole or not at all; when another process is first, its file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    if os.name == "posix":
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Without this a power cut may take the new name with it, and every secret sealed since."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
