"""For apps on SQLAlchemy, by its public events; of an asyncio engine, give its ``sync_engine``."""

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool, PoolProxiedConnection

from . import clock, current


def timed(pool: type[Pool]) -> type[Pool]:
    """A pool of this class that counts how long requests wait for its connections."""

    class TimedPool(pool):
        def connect(self) -> PoolProxiedConnection:
            request = current.get()
            if request is None:
                return super().connect()
            begun, opening = clock(), request.connect
            try:
                return super().connect()
            finally:
                now = clock()
                if request.connecting:
                    # It could not be opened.
                    request.connect += now - request.connecting
                    request.connecting = 0
                # Without what it took to open one, which is counted by itself.
                request.pool_wait += now - begun - (request.connect - opening)

    TimedPool.__name__ = pool.__name__
    return TimedPool


def _begin_connecting(*_args: Any) -> None:
    request = current.get()
    if request is not None:
        request.connecting = clock()


def _end_connecting(*_args: Any) -> None:
    request = current.get()
    if request is not None and request.connecting:
        request.connect += clock() - request.connecting
        request.connections += 1
        request.connecting = 0


def _begin_asking(*_args: Any) -> None:
    request = current.get()
    if request is not None:
        request.asked = clock()


def _end_asking(*_args: Any) -> None:
    request = current.get()
    if request is not None and request.asked:
        request.database += clock() - request.asked
        request.asked = 0


def install(engine: Engine) -> None:
    """Counts what requests wait for through this engine and the sessions on it."""
    event.listen(engine, "do_connect", _begin_connecting)
    # After SQLAlchemy's own listener, which prepares the connection.
    event.listen(engine, "connect", _end_connecting)
    event.listen(engine, "before_cursor_execute", _begin_asking)
    event.listen(engine, "after_cursor_execute", _end_asking)
    event.listen(engine, "handle_error", _end_asking)
    # An engine tells when it begins to end a transaction, a session when it has done so.
    event.listen(engine, "commit", _begin_asking)
    event.listen(engine, "rollback", _begin_asking)
    event.listen(Session, "after_transaction_end", _end_asking)
