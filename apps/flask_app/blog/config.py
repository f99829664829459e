"""All that is set from outside, read from the environment."""

import os

from sqlalchemy import URL


def _text(name: str, default: str) -> str:
    return os.environ.get(name, default)


def _number(name: str, default: int, high: int = 100_000) -> int:
    raw = os.environ.get(name, str(default))
    if not (raw.isascii() and raw.isdigit() and 1 <= int(raw) <= high):
        raise SystemExit(f"Cannot start: {name} is {raw!r}: must be an integer from 1 to {high}")
    return int(raw)


def _seconds(name: str, high_ms: int = 1000) -> float:
    raw = os.environ.get(name, "0")
    try:
        ms = float(raw)
    except ValueError:
        ms = -1
    if not 0 <= ms <= high_ms:
        raise SystemExit(f"Cannot start: {name} is {raw!r}: must be a number from 0 to {high_ms}")
    return ms / 1000


def _choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    raw = os.environ.get(name, default)
    if raw not in choices:
        raise SystemExit(f"Cannot start: {name} is {raw!r}: must be one of {', '.join(choices)}")
    return raw


class Config:
    """Server, database and connection settings.

    The password is not among them: libpq finds it through PGPASSFILE.
    """

    HOST = _text("GUNICORN_HOST", "127.0.0.1")
    PORT = _number("GUNICORN_PORT", 8000, 65535)
    WORKERS = _number("WEB_CONCURRENCY", 2)
    THREADS = _number("GUNICORN_THREADS", 32)
    BACKLOG = _number("GUNICORN_BACKLOG", 4096)

    DATABASE_URL = URL.create(
        "postgresql+psycopg",
        username=_text("PGUSER", "poolscope"),
        host=_text("PGHOST", "127.0.0.1"),
        port=_number("PGPORT", 5432, 65535),
        database=_text("PGDATABASE", "poolscope"),
    )
    TLS = {
        "sslmode": _choice("PGSSLMODE", "disable", ("disable", "verify-full")),
        "sslrootcert": _text("PGSSLROOTCERT", ""),
    }
    REUSE = _choice("DB_REUSE", "app_pool", ("app_pool", "per_request"))
    POOL_SIZE = _number("DB_POOL_SIZE", 32)
    PREPARED_STATEMENTS = _choice("DB_PREPARED_STATEMENTS", "true", ("true", "false")) == "true"
    LIVENESS_CHECK = _choice("DB_LIVENESS_CHECK", "false", ("true", "false")) == "true"

    DELAY_S = _seconds("APP_DELAY_MS")
    CPU_S = _seconds("APP_CPU_MS")
    HOLD_S = _seconds("APP_HOLD_MS", 10_000)
    NONCE = _text("APP_NONCE", "")
    TIMINGS = _text("APP_TIMINGS", "")
