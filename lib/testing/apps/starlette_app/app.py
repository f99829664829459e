"""The blog of apps/CONTRACT.md in Starlette: a fourth framework, which joins with this folder alone."""

import asyncio
import json
import os
import re
import ssl
import sys
from datetime import UTC, datetime
from uuid import uuid4

import uvicorn
from asyncpg import PostgresError
from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

ENV = os.environ
DELAY_S = float(ENV.get("APP_DELAY_MS", "0")) / 1000
TIMINGS = ENV.get("APP_TIMINGS", "")
MAX_ID = 2_147_483_647

USER = text("SELECT id, username, full_name, created_at FROM users WHERE id = :id")
POSTS = """SELECT p.id, p.title, p.body, p.created_at, u.id AS user_id, u.username, u.full_name,
    u.created_at AS joined_at FROM posts p JOIN users u ON u.id = p.author_id """
POST = text(POSTS + "WHERE p.id = :id")
NEWEST = text(POSTS + "ORDER BY p.created_at DESC, p.id DESC LIMIT :limit")
SUMMARY = text("""SELECT u.id AS user_id, u.username, count(p.id) AS post_count,
    avg(length(p.body))::float8 AS average_body_length,
    min(p.created_at) AS first_post_at, max(p.created_at) AS last_post_at,
    mode() WITHIN GROUP (ORDER BY to_char(p.created_at AT TIME ZONE 'UTC', 'YYYY-MM'))
        AS busiest_month
    FROM users u LEFT JOIN posts p ON p.author_id = u.id WHERE u.id = :id GROUP BY u.id""")
INSERT = text("""INSERT INTO posts (author_id, title, body, created_at)
    VALUES (:author_id, :title, :body, :created_at) RETURNING id""")


def build_engine():
    """An engine that keeps and prepares as the environment says."""
    tls = ENV.get("PGSSLMODE") == "verify-full"
    connect_args = {
        "ssl": tls and ssl.create_default_context(cafile=ENV["PGSSLROOTCERT"]),
        "server_settings": {"client_encoding": "UTF8"},
    }
    if ENV.get("DB_PREPARED_STATEMENTS") == "false":
        connect_args |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"__asyncpg_{uuid4()}__",
        }
    pool = {"poolclass": NullPool}
    if ENV.get("DB_REUSE") != "per_request":
        size = int(ENV.get("DB_POOL_SIZE", "32"))
        pool = {"poolclass": AsyncAdaptedQueuePool, "pool_size": size, "max_overflow": 0}
    if TIMINGS:
        from timings import sqlalchemy

        pool["poolclass"] = sqlalchemy.timed(pool["poolclass"])
    url = URL.create(
        "postgresql+asyncpg", ENV["PGUSER"], None, ENV["PGHOST"], int(ENV["PGPORT"]), ENV["PGDATABASE"]
    )
    engine = create_async_engine(url, connect_args=connect_args, **pool)
    if TIMINGS:
        sqlalchemy.install(engine.sync_engine)
    return engine


def timestamp(value: datetime | None) -> str | None:
    return value and value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def user_json(row) -> dict:
    return dict(row._mapping) | {"created_at": timestamp(row.created_at)}


def post_json(row) -> dict:
    author = {"id": row.user_id, "username": row.username, "full_name": row.full_name}
    return {
        "id": row.id,
        "title": row.title,
        "body": row.body,
        "created_at": timestamp(row.created_at),
        "author": author | {"created_at": timestamp(row.joined_at)},
    }


def number(value: str, name: str, high: int) -> int:
    if re.fullmatch(r"[0-9]{1,100}", value) and 1 <= int(value) <= high:
        return int(value)
    raise HTTPException(422, f"{name} must be an integer from 1 to {high}")


def path_id(request: Request) -> int:
    return number(request.path_params["id"], "id", MAX_ID)


def storable(value: object, name: str, high: int) -> str:
    if isinstance(value, str) and 1 <= len(value) <= high and not re.search("[\0\ud800-\udfff]", value):
        return value
    raise HTTPException(422, f"{name} must be a string of 1 to {high} characters")


async def read_new_post(request: Request) -> dict:
    data = None
    if re.match(r"application/json\s*(;|$)", request.headers.get("content-type", "")):
        try:
            data = json.loads(await request.body())
        except ValueError:
            pass
    if not isinstance(data, dict):
        raise HTTPException(422, "request body must be a JSON object")
    author_id = data.get("author_id")
    if type(author_id) is not int or not 1 <= author_id <= MAX_ID:
        raise HTTPException(422, f"author_id must be an integer from 1 to {MAX_ID}")
    return {
        "author_id": author_id,
        "title": storable(data.get("title"), "title", 200),
        "body": storable(data.get("body"), "body", 10_000),
    }


async def one(session, statement, missing: str, **values):
    row = (await session.execute(statement, values)).one_or_none()
    if row is None:
        raise HTTPException(404, missing)
    return row


async def healthz(_request: Request) -> JSONResponse:
    nonce = ENV.get("APP_NONCE", "")
    return JSONResponse({"status": "ok", "app": "starlette", "nonce": nonce, "worker": os.getpid()})


async def ping(_request: Request) -> JSONResponse:
    return JSONResponse({"ping": "pong"})


async def read_user(request: Request) -> JSONResponse:
    user_id = path_id(request)
    async with new_session() as session:
        return JSONResponse(user_json(await one(session, USER, "User not found", id=user_id)))


async def read_summary(request: Request) -> JSONResponse:
    user_id = path_id(request)
    async with new_session() as session:
        row = await one(session, SUMMARY, "User not found", id=user_id)
    times = {name: timestamp(getattr(row, name)) for name in ("first_post_at", "last_post_at")}
    return JSONResponse(dict(row._mapping) | times)


async def read_posts(request: Request) -> JSONResponse:
    limit = number(request.query_params.get("limit", "20"), "limit", 100)
    async with new_session() as session:
        rows = (await session.execute(NEWEST, {"limit": limit})).all()
    return JSONResponse([post_json(row) for row in rows])


async def read_post(request: Request) -> JSONResponse:
    post_id = path_id(request)
    async with new_session() as session:
        return JSONResponse(post_json(await one(session, POST, "Post not found", id=post_id)))


async def create_post(request: Request) -> JSONResponse:
    post = await read_new_post(request) | {"created_at": datetime.now(UTC)}
    async with new_session() as session:
        author = await one(session, USER, "Author not found", id=post["author_id"])
        post["id"] = (await session.execute(INSERT, post)).scalar_one()
        await session.commit()
    del post["author_id"]
    shown = post | {"created_at": timestamp(post["created_at"]), "author": user_json(author)}
    return JSONResponse(shown, 201)


async def on_http_error(_request: Request, error: HTTPException) -> JSONResponse:
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def on_database_error(request: Request, error: Exception) -> JSONResponse:
    cause = " ".join(str(getattr(error, "orig", None) or error).split())
    print(f"{request.method} {request.url.path} failed: {cause}", file=sys.stderr)
    return JSONResponse({"detail": "Internal Server Error"}, 500)


class Delay:
    """Waits before each request is handled."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            await asyncio.sleep(DELAY_S)
        await self.app(scope, receive, send)


new_session = async_sessionmaker(build_engine())
app = Starlette(
    routes=[
        Route("/healthz", healthz),
        Route("/ping", ping),
        Route("/users/{id}", read_user),
        Route("/users/{id}/summary", read_summary),
        Route("/posts", read_posts),
        Route("/posts", create_post, methods=["POST"]),
        Route("/posts/{id}", read_post),
    ],
    exception_handlers={
        HTTPException: on_http_error,
        SQLAlchemyError: on_database_error,
        PostgresError: on_database_error,
        OSError: on_database_error,
    },
)
app.router.redirect_slashes = False
if DELAY_S > 0:
    app.add_middleware(Delay)
if TIMINGS:
    from timings.asgi import Timings

    app.add_middleware(Timings, folder=TIMINGS)

if __name__ == "__main__":
    uvicorn.run(
        "app:app",
        host=ENV.get("HOST", "127.0.0.1"),
        port=int(ENV.get("PORT", "8000")),
        backlog=int(ENV.get("LISTEN_BACKLOG", "4096")),
        workers=int(ENV.get("WEB_CONCURRENCY", "2")),
        access_log=False,
        timeout_keep_alive=75,
    )
