"""Bodies of manual prices: what people say an asset is worth."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from alphapulse.api.schemas.base import Body, Dec, Input, Page, PriceView, Timestamp, View

_Asset = Annotated[str, Field(max_length=40, examples=["LUNA"])]


class ManualPricesQuery(Input):
    """The newest of each asset; of one asset all that was said."""

    asset: _Asset | None = None


class ManualPriceInput(Input):
    """What one unit is worth in `currency`: money, a stablecoin, or any asset with a market.

    Without `as_of` it is worth that now. `value` has at most 20 digits.
    """

    value: Dec
    currency: Annotated[str, Field(max_length=40, examples=["USD"])]
    as_of: datetime | None = None


class UnsayQuery(Input):
    """Only what was said of this moment; all without."""

    as_of: datetime | None = None


class ManualPriceView(View):
    """What a person says. `said_by` is their name, or their id where they are no user any more."""

    asset: str
    value: Dec
    currency: str
    as_of: Timestamp
    age_ms: int
    said_by: str
    said_at: Timestamp


class ManualPriceItem(ManualPriceView):
    """As it is listed. `price` is what values the asset now, in your currency: its `quality` is
    `manual` where it is a person's word, and another where a market goes before it."""

    price: PriceView | None


class ManualPricePage(Page[ManualPriceItem]):
    """By asset, the latest moment first. `meta.currency` is the currency of `price`."""


class ManualPriceBody(Body):
    """What was said; values follow at once, and lots are counted again where it changes them."""

    said: ManualPriceView
