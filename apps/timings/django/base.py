"""Django's PostgreSQL backend that counts what requests wait for."""

import threading
from collections.abc import Callable
from typing import Any

from django.db.backends.postgresql import base

from .. import clock, current


def _time_statement(execute: Callable[..., Any], *args: Any) -> Any:
    request = current.get()
    if request is None:
        return execute(*args)
    begun = clock()
    try:
        return execute(*args)
    finally:
        request.database += clock() - begun


class _Opened:
    """What the pool's own threads have opened since it was last asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = (0, 0)

    def since(self, pool: Any) -> tuple[int, int]:
        """Connections, and the time that it took to open them, in nanoseconds."""
        stats = pool.get_stats()
        now = (stats.get("connections_num", 0), stats.get("connections_ms", 0))
        with self._lock:
            before, self._seen = self._seen, max(self._seen, now)
        return max(0, now[0] - before[0]), max(0, now[1] - before[1]) * 1_000_000


_opened = _Opened()


class DatabaseWrapper(base.DatabaseWrapper):
    """The backend, one for each thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(_time_statement)

    def connect(self) -> None:
        """Opens a connection, or takes one of the pool's."""
        request = current.get()
        if request is None:
            super().connect()
            if self.pool is not None:
                # Not of the next request that is measured.
                _opened.since(self.pool)
            return
        begun = clock()
        try:
            super().connect()
        finally:
            spent = clock() - begun
            if self.pool is None:
                opened, opening = int(self.connection is not None), spent
            else:
                opened, opening = _opened.since(self.pool)
            request.connections += opened
            request.connect += min(spent, opening)
            request.pool_wait += spent - min(spent, opening)
