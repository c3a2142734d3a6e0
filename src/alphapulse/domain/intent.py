"""Intent: what is durable before an order is sent, so that none can be lost or sent twice."""

import base64
import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from alphapulse.domain.identifiers import AccountId, Asset, ClientOrderId, UserId
from alphapulse.domain.order import OrderRequest

_OURS = re.compile(r"ap[a-z2-7]{26}")


@dataclass(frozen=True, slots=True)
class Intent:
    """Who wanted an order, what it holds back, and how far its sending went.

    ``reserved`` of ``reserved_asset`` is not free for other orders while this one is open or its
    fate unknown. ``value`` is what counts against the limits, in their currency.
    """

    client_order_id: ClientOrderId
    account_id: AccountId
    user_id: UserId | None
    request: OrderRequest
    """As checked and rounded: exactly what is sent."""
    reserved_asset: Asset | None
    reserved: Decimal
    value: Decimal | None
    created_at: datetime
    fence: int | None = None
    """The number of the sender that claimed it; a sender with an older number may not send."""
    sent_after: datetime | None = None
    """Looking for it at the venue begins here. Our clock."""
    arrives_before: datetime | None = None
    """After this moment the venue accepts the request no more, by its signed expiry, the error of
    our clocks and the lag of its answers included. Absence seen earlier proves nothing."""
    watched_until: datetime | None = None
    """One that was found not placed is still looked for until then."""

    def claimed(self, fence: int, at: datetime, arrives_before: datetime) -> "Intent":
        """The intent of an order that is about to be sent by the sender with this number."""
        return replace(self, fence=fence, sent_after=at, arrives_before=arrives_before)

    def not_sent(self) -> "Intent":
        """The intent after it was proved that nothing left."""
        return replace(self, fence=None, sent_after=None, arrives_before=None)


def client_order_id(account_id: AccountId, user_id: UserId | None, key: str) -> ClientOrderId:
    """The name of an order at the venue, made from the caller's idempotency key.

    The same key gives the same name, also after the database was restored from a backup: the
    venue then knows the repeat where we no longer do. 28 letters and digits are good at every
    venue that takes names of ours.
    """
    made_of = "\n".join((account_id, user_id or "", key)).encode()
    digest = hashlib.blake2b(made_of, digest_size=16).digest()
    return ClientOrderId("ap" + base64.b32encode(digest).decode().rstrip("=").lower())


def is_our_name(name: str | None) -> bool:
    """Whether an order at the venue carries a name that only we make: without an intent it was
    lost, which must never happen."""
    return name is not None and _OURS.fullmatch(name) is not None
