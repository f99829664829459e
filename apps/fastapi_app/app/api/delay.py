"""A slowdown of known size: a wait before each request is handled."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send


class Delay:
    """Middleware that waits; the event loop's timer goes by whole milliseconds."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(self.seconds)
        await self.app(scope, receive, send)
