"""Who signed: Bybit's signatures over the raw bytes of a request, and over a stream's greeting."""

import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256

from alphapulse.simulator.core.account import ApiKey
from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.venues.bybit import codes
from alphapulse.simulator.venues.bybit.codes import BybitError
from alphapulse.simulator.venues.face import Request

DEFAULT_WINDOW_MS = 5_000

# How far ahead of the venue a client's clock may be.
AHEAD_MS = 1_000

FindKey = Callable[[str], ApiKey | None]


class Authenticator:
    """Checks keys, clocks and signatures, in the venue's order."""

    def __init__(self, find_key: FindKey, clock: AuthClock) -> None:
        self._find_key = find_key
        self._clock = clock

    def of_request(self, request: Request) -> ApiKey:
        """The key that signed ``request``.

        Raises:
            BybitError: 10001, 10002, 10003, 10004 or 10010.
        """
        stamp = request.headers.get("X-BAPI-TIMESTAMP", "")
        name = request.headers.get("X-BAPI-API-KEY", "")
        signature = request.headers.get("X-BAPI-SIGN", "")
        if not (stamp and name and signature):
            raise BybitError(
                codes.PARAMS,
                f"empty value: apiTimestamp[{stamp}] apiKey[{name}] apiSignature[{signature}]",
            )
        key = self._known(name)
        window = request.headers.get("X-BAPI-RECV-WINDOW", "")
        self._check_clock(stamp, window)
        signed = f"{stamp}{name}{window}".encode()
        payload = request.body if request.method == "POST" else request.query.encode()
        if not _matches(key.secret, signed + payload, signature):
            origin = (signed + payload).decode(errors="replace")
            raise BybitError(
                codes.SIGN,
                "error sign! please check your signature generation algorithm. "
                f"origin_string[{origin}]",
            )
        return key

    def of_greeting(self, args: list[object]) -> ApiKey:
        """The key of ``{"op": "auth", "args": [key, expires, signature]}``; ``expires`` may be
        text or a number.

        Raises:
            BybitError: as for a request.
        """
        if len(args) != 3:
            raise BybitError(codes.PARAMS, "Params Error")
        name, expires, signature = (str(arg) for arg in args)
        key = self._known(name)
        if not expires.isdigit() or int(expires) <= self._clock.now_ms():
            raise BybitError(codes.SIGN, "Params Error")
        if not _matches(key.secret, f"GET/realtime{expires}".encode(), signature):
            raise BybitError(codes.SIGN, "Params Error")
        return key

    def check_header(self, header: Mapping[str, object]) -> None:
        """The times that come with an order over the trade socket.

        Raises:
            BybitError: 10002, too old, from the future, or absent.
        """
        stamp, window = (
            str(header.get(name, "")) for name in ("X-BAPI-TIMESTAMP", "X-BAPI-RECV-WINDOW")
        )
        self._check_clock(stamp, window)

    def _known(self, name: str) -> ApiKey:
        key = self._find_key(name)
        if key is None:
            raise BybitError(codes.KEY, "API key is invalid.")
        if key.is_ip_refused:
            raise BybitError(
                codes.UNMATCHED_IP,
                "Unmatched IP, please check your API key's bound IP addresses.",
            )
        return key

    def _check_clock(self, stamp: str, window: str) -> None:
        now_ms = self._clock.now_ms()
        window_ms = int(window) if window.isdigit() else DEFAULT_WINDOW_MS
        is_number = stamp.isdigit() and len(stamp) <= 16
        if is_number and not self._clock.checks_windows:
            return
        if is_number and now_ms - window_ms <= int(stamp) < now_ms + AHEAD_MS:
            return
        raise BybitError(
            codes.TIMESTAMP,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{stamp[:20]}],server_timestamp[{now_ms}],recv_window[{window_ms}]",
        )


def _matches(secret: str, signed: bytes, signature: str) -> bool:
    expected = hmac.new(secret.encode(), signed, sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.lower().encode())
