"""WebSocket endpoint: lets a client in and reads what it asks for; the sending is the hub's."""

import asyncio
import secrets
from contextlib import suppress

import msgspec
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from alphapulse.api.credentials import identify
from alphapulse.api.websocket import messages
from alphapulse.api.websocket.frames import AsgiFrames, FrameWriter, text_frame, writer_of
from alphapulse.api.websocket.hub import HEARTBEAT_S, Hub
from alphapulse.api.websocket.topics import Client
from alphapulse.errors import AlphaPulseError, Unauthenticated
from alphapulse.security.tokens import Access
from alphapulse.services.users import UserService

AUTH_S = 5.0
"""A client without a cookie has this long to say who it is."""

MESSAGES_PER_S = 20
"""More than any screen needs; a client beyond it is disconnected."""

UNAUTHENTICATED = 4401
TOO_FAST = 4429


class _Gone(Exception):
    """The client closed the connection, or we did."""


class SocketEndpoint:
    """One ASGI application for every WebSocket connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        talk = _Conversation(connection.state.hub, connection.state.services.users, receive)
        await receive()
        with suppress(_Gone):
            access = await talk.who_by_cookie(connection)
            await send({"type": "websocket.accept"})
            writer = writer_of(scope)
            if writer is not None:
                await talk.hold(writer, access)
                return
            frames = AsgiFrames(send)
            sender = asyncio.create_task(frames.run(), name="websocket sender")
            try:
                await talk.hold(frames, access)
            finally:
                sender.cancel()
                await asyncio.wait([sender])


class _Conversation:
    """What is said on one connection, from hello to goodbye."""

    def __init__(self, hub: Hub, users: UserService, receive: Receive) -> None:
        self._hub = hub
        self._users = users
        self._receive = receive

    async def who_by_cookie(self, connection: HTTPConnection) -> Access | None:
        """Whose cookie it is; one that no longer holds is as good as none."""
        with suppress(Unauthenticated):
            return await identify(connection, self._users)
        return None

    async def hold(self, writer: FrameWriter, access: Access | None) -> None:
        """Say hello, learn who it is, and do what is asked until one side leaves."""
        connection_id = secrets.token_hex(8)
        hello = messages.Hello(v=1, session=connection_id, heartbeat_ms=int(HEARTBEAT_S * 1000))
        writer.write_frame(text_frame(messages.encode(hello)))
        if access is None:
            access = await self._who_by_message(writer)
        client = Client(
            connection_id=connection_id,
            session_id=access.session_id,
            viewer=await self._users.viewer(access.user_id),
            scopes=frozenset(access.scopes),
            writer=writer,
        )
        self._hub.connect(client)
        try:
            await self._listen(client)
        finally:
            self._hub.disconnect(client)

    async def _who_by_message(self, writer: FrameWriter) -> Access:
        """Who the first message says it is."""
        try:
            async with asyncio.timeout(AUTH_S):
                message = messages.decode(await self._text())
            if not isinstance(message, messages.Authenticate):
                raise Unauthenticated("the first message must be auth")
            return self._users.verify_token(message.token)
        except TimeoutError:
            writer.disconnect(UNAUTHENTICATED, "not authenticated in time")
        except (AlphaPulseError, msgspec.DecodeError) as error:
            code = error.code if isinstance(error, AlphaPulseError) else "bad_request"
            failure = messages.Failure(code=code, detail=str(error))
            writer.write_frame(text_frame(messages.encode(failure)))
            writer.disconnect(UNAUTHENTICATED, code)
        raise _Gone

    async def _listen(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        second, seen = loop.time(), 0
        while True:
            text = await self._text()
            if loop.time() - second >= 1:
                second, seen = loop.time(), 0
            seen += 1
            if seen > MESSAGES_PER_S:
                client.writer.disconnect(TOO_FAST, "too many messages")
                raise _Gone
            try:
                self._hub.handle(client, messages.decode(text))
            except msgspec.DecodeError as error:
                self._hub.fail(client, "bad_request", str(error))

    async def _text(self) -> str:
        message: Message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise _Gone
        return message.get("text") or ""
