"""P3 and P4: an exchange's frame to the last-price cache, against CCXT Pro in the same run.

P3 is CPU a message, once in process (decode and cache alone) and once from a real socket, where
CCXT's side is a subclass that takes each message, its fairest form. P4 is completeness at 4,000
messages a second, where CCXT's side is the documented ``while True: await watch_bids_asks()``.

    python -m bench.ingest
"""

import asyncio
import gzip
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.instrument import Instrument, InstrumentType
from alphapulse.domain.market import Candle, MarketSubscription, Ticker, Trade
from alphapulse.exchanges.ccxt import loading
from alphapulse.exchanges.streams import binance
from alphapulse.exchanges.streams.binance import BinanceDecoder
from alphapulse.exchanges.streams.binance_frames import BookFrame
from alphapulse.exchanges.streams.memory import StreamMemory
from alphapulse.runtime.clock import SystemClock
from bench.feed import SYMBOLS, FeedProcess, book_frames
from bench.measure import interleave, report

DECODED, DECODE_ROUNDS = 2_000, 25
FLOOD = 30_000
PACED, PER_SECOND = 12_000, 4_000

BINANCE = ExchangeId("binance")
UNIFIED = {raw: Symbol(f"{raw.removesuffix('USDT')}/USDT") for raw in (*SYMBOLS, "BTCUSDT")}


class LastPrices:
    """The cache: the newest ticker of each symbol, and how many came."""

    def __init__(self, expected: int = 0) -> None:
        self.last: dict[Symbol, Ticker] = {}
        self.count = 0
        self.complete = asyncio.Event()
        self._expected = expected

    def on_ticker(self, ticker: Ticker) -> None:
        self.last[ticker.symbol] = ticker
        self.count += 1
        if self.count == self._expected:
            self.complete.set()

    def on_trade(self, trade: Trade) -> None:
        self.count += 1

    def on_candle(self, candle: Candle) -> None:
        self.count += 1


def instruments() -> dict[Symbol, Instrument]:
    return {
        symbol: Instrument(
            exchange=BINANCE,
            symbol=symbol,
            exchange_symbol=raw,
            type=InstrumentType.SPOT,
            base=Asset(raw.removesuffix("USDT")),
            quote=Asset("USDT"),
            settle=None,
            tick_size=Decimal("0.01"),
            lot_size=Decimal("0.00001"),
            min_quantity=None,
            max_quantity=None,
            min_notional=None,
            contract_size=Decimal(1),
            is_active=True,
        )
        for raw, symbol in UNIFIED.items()
    }


def subscription(*raws: str) -> MarketSubscription:
    return MarketSubscription(tickers=frozenset(UNIFIED[raw] for raw in raws))


def ccxt_client(*, on_message: Callable[[dict[str, Any]], None] | None = None) -> Any:
    """CCXT Pro's Binance as it comes; ``on_message`` is told each ticker, in a handler subclass."""
    base: Any = loading.exchange_class("binance", pro=True)

    class Taken(base):  # type: ignore[misc]
        def handle_bids_asks(self, client: Any, message: Any) -> None:
            super().handle_bids_asks(client, message)
            if on_message is not None:
                on_message(message)

    client = Taken({"enableRateLimit": False, "timeout_on_exit": 0})
    client.set_markets([_ccxt_market(client, raw, str(symbol)) for raw, symbol in UNIFIED.items()])
    return client


def _ccxt_market(client: Any, raw: str, symbol: str) -> Any:
    base, quote = symbol.split("/")
    return client.safe_market_structure(
        {
            "id": raw, "symbol": symbol, "base": base, "quote": quote, "baseId": base,
            "quoteId": quote, "type": "spot", "spot": True, "contract": False, "active": True,
            "lowercaseId": raw.lower(),
        }
    )  # fmt: skip


async def decode_changing() -> bool:
    """The hardest feed: every frame a new price, so each makes two decimals and a Ticker."""
    return await decode("changing", book_frames(DECODED * (DECODE_ROUNDS + 1)), SYMBOLS)


async def decode_recorded() -> bool:
    """5.8 minutes of the real BTC/USDT book ticker, where nine of ten frames repeat the prices."""
    return await decode("recorded", recorded_books(), ("BTCUSDT",))


async def decode(name: str, frames: list[bytes], raws: Sequence[str]) -> bool:
    """Frames to the cache in this process. All sides take the same ones, new ones each round.

    ``msgspec`` only decodes: nothing that reads every frame in Python can cost less.
    """
    rounds = min(DECODE_ROUNDS, len(frames) // DECODED - 1)
    batches = [frames[at : at + DECODED] for at in range(0, (rounds + 1) * DECODED, DECODED)]
    ours, theirs, bare = iter(batches), iter(batches), iter(batches)
    decode_alone = msgspec.json.Decoder(BookFrame).decode
    sink = LastPrices()
    decoder = BinanceDecoder(
        subscription(*raws), sink, instruments=instruments(), memory=StreamMemory(BINANCE)
    )
    client = ccxt_client()
    socket = client.client("wss://stream.binance.com:9443/stream")
    now = datetime.now(UTC)

    def take() -> int:
        for frame in next(ours):
            decoder.take_book(frame, now)
        return DECODED

    def handle() -> int:
        for frame in next(theirs):
            socket.handle_text_or_binary_message(frame.decode())
        return DECODED

    def read() -> int:
        for frame in next(bare):
            decode_alone(frame)
        return DECODED

    sides = {"ours": take, "msgspec": read, "ccxt": handle}
    measured = await interleave(sides, rounds=rounds)
    await client.close()
    for symbol, ticker in sink.last.items():
        assert client.bidsasks[symbol]["bid"] == float(ticker.bid or 0), "both hold the same prices"
    return report(
        f"ingest.decode_{name}",
        ratio=measured.ratio("ccxt", to="ours"),
        floor=40,
        n=measured.operations,
        ours_us=measured.median_us("ours"),
        ccxt_us=measured.median_us("ccxt"),
        msgspec_us=measured.median_us("msgspec"),
        changed=sink.count / (len(batches) * DECODED),
    )


def recorded_books() -> list[bytes]:
    """From ``shared/data``, found upwards of here."""
    name = "shared/data/frames/binance_spot_btcusdt_20240808.gz"
    path = next(folder / name for folder in Path(__file__).parents if (folder / name).exists())
    with gzip.open(path) as lines:
        frames = (line.rstrip().partition(b" ")[2] for line in lines)
        return [frame for frame in frames if b"@bookTicker" in frame]


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def our_watch(url: str, sink: LastPrices) -> Any:
    return binance.watch(
        subscription(*SYMBOLS),
        sink,
        instruments=instruments(),
        address=lambda _: f"{url}/stream",
        memory=StreamMemory(BINANCE),
        clock=SystemClock(),
        on_connected=lambda: None,
    )


async def from_a_socket() -> bool:
    """As fast as the feed can send; CPU of this process from connecting to the last message."""
    with FeedProcess(FLOOD, 0) as feed:

        async def take() -> int:
            sink = LastPrices(FLOOD)
            async with running(our_watch(feed.url, sink)):
                await asyncio.wait_for(sink.complete.wait(), 60)
            return FLOOD

        async def handle() -> int:
            done = asyncio.Event()
            left = FLOOD

            def count(message: dict[str, Any]) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    done.set()

            client = ccxt_client(on_message=count)
            _point_at(client, feed.url)
            async with running(_watch_forever(client, lambda _: None)):
                await asyncio.wait_for(done.wait(), 60)
            await client.close()
            return FLOOD

        rounds = await interleave({"ours": take, "ccxt": handle}, rounds=3)
    return report(
        "ingest.socket_book",
        ratio=rounds.ratio("ccxt", to="ours"),
        floor=8,
        n=rounds.operations,
        ours_us=rounds.median_us("ours"),
        ccxt_us=rounds.median_us("ccxt"),
    )


async def completeness() -> bool:
    """Every tick of a paced feed reaches the cache; the watch loop is the negative control."""
    with FeedProcess(PACED, PER_SECOND) as feed:
        sink = LastPrices(PACED)
        async with running(our_watch(feed.url, sink)):
            with suppress(TimeoutError):
                await asyncio.wait_for(sink.complete.wait(), 30)
        seen = 0

        def count(tickers: dict[str, Any]) -> None:
            nonlocal seen
            seen += len(tickers)

        handled = 0
        done = asyncio.Event()

        def on_message(_: dict[str, Any]) -> None:
            nonlocal handled
            handled += 1
            if handled == PACED:
                done.set()

        client = ccxt_client(on_message=on_message)
        _point_at(client, feed.url)
        async with running(_watch_forever(client, count)):
            await asyncio.wait_for(done.wait(), 30)
        await client.close()
    newest = {}
    for frame in book_frames(PACED):
        symbol, _, rest = frame.partition(b'"s":"')[2].partition(b'","b":"')
        newest[UNIFIED[symbol.decode()]] = Decimal(rest.partition(b'"')[0].decode())
    assert {s: t.bid for s, t in sink.last.items()} == newest, "the cache ends at the last prices"
    return report(
        "ingest.complete",
        ratio=sink.count / PACED,
        floor=1,
        n=PACED,
        per_second=PER_SECOND,
        ccxt_watch_loop=seen / PACED,
    )


async def _watch_forever(client: Any, on_tickers: Callable[[dict[str, Any]], None]) -> None:
    while True:
        on_tickers(await client.watch_bids_asks([str(UNIFIED[raw]) for raw in SYMBOLS]))


def _point_at(client: Any, url: str) -> None:
    client.urls["api"]["ws"]["spot"] = f"{url}/stream/ws"


async def _main() -> bool:
    results = [
        await part() for part in (decode_changing, decode_recorded, from_a_socket, completeness)
    ]
    return all(results)


def main() -> bool:
    """Run every part; whether all floors were met."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_main())


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
