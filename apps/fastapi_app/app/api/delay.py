"""Slowdowns of known size: a wait, and CPU time that is used, before each request is handled; and a
wait in its transaction."""

import asyncio
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.config import settings


class Delay:
    """Middleware that waits; the event loop's timer goes by whole milliseconds."""

    def __init__(self, app: ASGIApp, seconds: float, cpu_s: float) -> None:
        self.app = app
        self.seconds = seconds
        self.cpu_s = cpu_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if self.seconds > 0:
                await asyncio.sleep(self.seconds)
            burn(self.cpu_s)
        await self.app(scope, receive, send)


async def hold() -> None:
    """Waits for something else, while the request's transaction is open."""
    if settings.app_hold_ms > 0:
        await asyncio.sleep(settings.app_hold_ms / 1000)


def burn(seconds: float) -> None:
    """Uses the CPU for so long, however often others are let run meanwhile."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
