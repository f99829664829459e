"""``python -m app``: reads the settings once, before any worker does, and starts uvicorn."""

import sys

import uvicorn
from pydantic import ValidationError


def main() -> None:
    """Starts the server, or says in one line which setting is wrong."""
    try:
        from app.core.config import settings
    except ValidationError as exc:
        first = exc.errors()[0]
        name = str(first["loc"][0]).upper()
        sys.exit(f"Cannot start: {name} is {first['input']!r}: {first['msg']}")
    uvicorn.run(
        "app.main:app",
        host=settings.uvicorn_host,
        port=settings.uvicorn_port,
        backlog=settings.uvicorn_backlog,
        workers=settings.web_concurrency,
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=30,
        # A worker that is only busy must not be taken for a dead one (gunicorn: timeout).
        timeout_worker_healthcheck=120,
    )


if __name__ == "__main__":
    main()
