"""All that is set from outside, read from the environment once."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings
from sqlalchemy import URL

Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class Settings(BaseSettings):
    """Each field is the environment variable of its name in capitals.

    The password is not among them: asyncpg finds it through PGPASSFILE.
    """

    uvicorn_host: str = "127.0.0.1"
    uvicorn_port: Port = 8000
    uvicorn_backlog: Count = 4096
    web_concurrency: Count = 2

    pghost: str = "127.0.0.1"
    pgport: Port = 5432
    pgdatabase: str = "poolscope"
    pguser: str = "poolscope"
    pgsslmode: Literal["disable", "verify-full"] = "disable"
    pgsslrootcert: str = ""

    db_reuse: Literal["app_pool", "per_request"] = "app_pool"
    db_pool_size: Count = 32
    db_prepared_statements: bool = True
    db_liveness_check: bool = False

    app_delay_ms: Annotated[float, Field(ge=0, le=1000)] = 0
    app_cpu_ms: Annotated[float, Field(ge=0, le=1000)] = 0
    app_hold_ms: Annotated[float, Field(ge=0, le=10_000)] = 0
    app_nonce: str = ""
    app_timings: str = ""

    @property
    def database_url(self) -> URL:
        """SQLAlchemy's address of the database, without a password."""
        return URL.create(
            "postgresql+asyncpg",
            username=self.pguser,
            host=self.pghost,
            port=self.pgport,
            database=self.pgdatabase,
        )


settings = Settings()
