"""The engine, one for each worker process, and the factory of sessions."""

import ssl
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from app.core.config import Settings, settings


def build_engine(settings: Settings) -> AsyncEngine:
    """An engine that keeps and prepares as the settings say."""
    connect_args: dict[str, Any] = {
        # Never "prefer": asking in vain costs a round trip for each new connection. One context for
        # all connections, as each would read the certificates again.
        "ssl": settings.pgsslmode == "verify-full"
        and ssl.create_default_context(cafile=settings.pgsslrootcert),
        # asyncpg asks for "'utf-8'", in quotes. PostgreSQL understands that, but PgBouncer takes it
        # for another encoding than the server's and sends a SET on each new connection.
        "server_settings": {"client_encoding": "UTF8"},
    }
    if not settings.db_prepared_statements:
        # asyncpg can only execute what it has prepared; "off" is to prepare anew each time and
        # keep nothing. The names are unique, as two clients of PgBouncer may share a connection.
        connect_args |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"__asyncpg_{uuid4()}__",
        }
    if settings.db_reuse == "per_request":
        pool: dict[str, Any] = {"poolclass": NullPool}
    else:
        pool = {
            "poolclass": AsyncAdaptedQueuePool,
            "pool_size": settings.db_pool_size,
            "max_overflow": 0,
            "pool_timeout": 30,
            "pool_pre_ping": settings.db_liveness_check,
        }
    url = settings.database_url
    if not settings.app_timings:
        return create_async_engine(url, connect_args=connect_args, **pool)
    from timings import sqlalchemy

    pool["poolclass"] = sqlalchemy.timed(pool["poolclass"])
    engine = create_async_engine(url, connect_args=connect_args, **pool)
    sqlalchemy.install(engine.sync_engine)
    return engine


engine = build_engine(settings)
# What was read stays readable after the commit, without a second SELECT.
session_factory = async_sessionmaker(engine, expire_on_commit=False)
