"""API Key Management, Secure Storage: envelope encryption that ties a secret to its place.

AES-256-GCM twice: a fresh data key encrypts the secret, the master key encrypts the data key. Both
authenticate where the secret is stored, so a ciphertext that was moved to another row is refused.
"""

import os
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from alphapulse.errors import SecretUnreadable
from alphapulse.observability.redaction import hide
from alphapulse.security.key_file import MasterKey

AES_256_GCM_ENVELOPE = 1
"""First byte of a sealed secret. A later algorithm gets its own number; this one stays readable."""

_NONCE_BYTES = 12
_TAG_BYTES = 16
_DATA_KEY_BYTES = 32
_WRAPPED_BYTES = _NONCE_BYTES + _DATA_KEY_BYTES + _TAG_BYTES
_SHORTEST_BYTES = 1 + _WRAPPED_BYTES + _NONCE_BYTES + _TAG_BYTES


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret is stored and whose it is."""

    table: str
    row_id: str
    field: str
    owner: str


class Cipher:
    """Seals secrets for one place each, and opens them there only.

    Whatever passes through it is hidden from the logs of this process from then on.
    """

    def __init__(self, master_key: MasterKey) -> None:
        self.key_version = master_key.version
        """Stored beside each sealed secret, so that a rotation knows what is left to do."""
        self._master = AESGCM(master_key.derive("stored secrets"))

    def seal(self, secret: str, place: Place) -> bytes:
        """Encrypt ``secret`` for ``place``: algorithm, wrapped data key, then the secret."""
        hide(secret)
        bound_to = self._bound_to(place)
        data_key = AESGCM.generate_key(bit_length=8 * _DATA_KEY_BYTES)
        return b"".join(
            (
                bytes([AES_256_GCM_ENVELOPE]),
                _encrypt(self._master, data_key, bound_to),
                _encrypt(AESGCM(data_key), secret.encode(), bound_to),
            )
        )

    def open(self, sealed: bytes, place: Place) -> str:
        """Decrypt what was sealed for ``place``.

        Raises:
            SecretUnreadable: Another master key, another place, or a changed byte.
        """
        if len(sealed) < _SHORTEST_BYTES or sealed[0] != AES_256_GCM_ENVELOPE:
            raise SecretUnreadable("not a sealed secret of this version", field=place.field)
        bound_to = self._bound_to(place)
        wrapped, body = sealed[1 : 1 + _WRAPPED_BYTES], sealed[1 + _WRAPPED_BYTES :]
        try:
            data_key = _decrypt(self._master, wrapped, bound_to)
            secret = _decrypt(AESGCM(data_key), body, bound_to).decode()
        except InvalidTag as error:
            raise SecretUnreadable(
                "the stored secret does not open with this master key at this place",
                table=place.table,
                row_id=place.row_id,
                field=place.field,
            ) from error
        hide(secret)
        return secret

    def _bound_to(self, place: Place) -> bytes:
        # A JSON list: no two places are written alike, whatever characters their names hold.
        return msgspec.json.encode(
            [
                AES_256_GCM_ENVELOPE,
                self.key_version,
                place.table,
                place.row_id,
                place.field,
                place.owner,
            ]
        )


def _encrypt(key: AESGCM, plain: bytes, bound_to: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, bound_to)


def _decrypt(key: AESGCM, text: bytes, bound_to: bytes) -> bytes:
    return key.decrypt(text[:_NONCE_BYTES], text[_NONCE_BYTES:], bound_to)
