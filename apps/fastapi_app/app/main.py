"""The application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.api import errors
from app.api.delay import Delay
from app.api.routes import health, posts, users
from app.core.config import settings
from app.core.db import engine


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
    """Closes the pool when the worker stops."""
    yield
    await engine.dispose()


# No documentation routes, and no redirects of trailing slashes: the other apps have neither.
app = FastAPI(title="Poolscope blog", lifespan=lifespan, openapi_url=None, redirect_slashes=False)
if settings.app_delay_ms > 0 or settings.app_cpu_ms > 0:
    app.add_middleware(
        Delay, seconds=settings.app_delay_ms / 1000, cpu_s=settings.app_cpu_ms / 1000
    )
if settings.app_timings:
    from timings.asgi import Timings

    app.add_middleware(Timings, folder=settings.app_timings)
errors.install(app)
app.include_router(health.router)
app.include_router(users.router)
app.include_router(posts.router)
