"""For apps that are called by WSGI."""

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from . import Worker, current


class Timings:
    """Middleware that counts each request from the app's first touch of it to its answer."""

    def __init__(self, app: Callable[..., Iterable[bytes]], folder: str) -> None:
        self.app = app
        self.worker = Worker(folder)
        self._lock = Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Passes the request on."""
        with self._lock:
            request = self.worker.begin()
        if request is None:
            return self.app(environ, start_response)
        try:
            return self.app(environ, start_response)
        finally:
            current.set(None)
            with self._lock:
                self.worker.add(request)
