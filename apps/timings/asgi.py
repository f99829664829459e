"""For apps that are called by ASGI."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from . import Worker

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Timings:
    """Middleware that counts each request from the app's first touch of it to its answer; what the
    app does after the answer, such as ending its transaction, keeps no client waiting."""

    def __init__(self, app: App, folder: str) -> None:
        self.app = app
        self.worker = Worker(folder)

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Passes the request on."""
        request = self.worker.begin() if scope["type"] == "http" else None
        if request is None:
            await self.app(scope, receive, send)
            return

        # Hands on what the server gives to be awaited: a coroutine of its own would cost more than
        # all that is counted here.
        def send_counted(message: Message) -> Awaitable[None]:
            # The last part of the body; the server hands it to the client within this call.
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self.worker.add(request)
            return send(message)

        await self.app(scope, receive, send_counted)
