"""Every error as ``{"detail": "..."}`` with the texts of the contract."""

import logging

from asyncpg import PostgresError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from app.schemas import MAX_ID

logger = logging.getLogger("uvicorn.error")

ID_RULE = f"id must be an integer from 1 to {MAX_ID}"
REQUEST_BODY_RULE = "request body must be a JSON object"
RULES = {
    "user_id": ID_RULE,
    "post_id": ID_RULE,
    "limit": "limit must be an integer from 1 to 100",
    "author_id": f"author_id must be an integer from 1 to {MAX_ID}",
    "title": "title must be a string of 1 to 200 characters",
    "body": "body must be a string of 1 to 10000 characters",
}


def error(status: int, detail: str) -> JSONResponse:
    """The one shape of an error."""
    return JSONResponse({"detail": detail}, status_code=status)


async def on_invalid(_request: Request, exc: RequestValidationError) -> JSONResponse:
    """Names the first rule that is broken; the location is ("path", "user_id") and the like."""
    location = exc.errors()[0]["loc"]
    field = location[1] if len(location) > 1 else None
    return error(422, RULES.get(field, REQUEST_BODY_RULE))


async def on_http_error(_request: Request, exc: HTTPException) -> JSONResponse:
    """404, 405, and FastAPI's 400 for a body that is not even UTF-8."""
    if exc.status_code == 400:
        return error(422, REQUEST_BODY_RULE)
    return JSONResponse({"detail": exc.detail}, exc.status_code, exc.headers)


async def on_database_error(request: Request, exc: Exception) -> JSONResponse:
    """Logs the reason in one line: under overload, tracebacks would be a load of their own."""
    # The driver's own error, without the statement and the parameters that SQLAlchemy adds.
    cause = getattr(exc, "orig", None) or exc
    reason = " ".join(f"{type(cause).__name__}: {cause}".split())
    logger.error("%s %s failed: %s", request.method, request.url.path, reason)
    return error(500, "Internal Server Error")


async def on_unexpected(_request: Request, _exc: Exception) -> JSONResponse:
    """A mistake of ours; the server logs its traceback."""
    return error(500, "Internal Server Error")


def install(app: FastAPI) -> None:
    """Registers the handlers."""
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http_error)
    # A connection that fails to open raises asyncpg's or the system's own error.
    for kind in (SQLAlchemyError, PostgresError, OSError):
        app.add_exception_handler(kind, on_database_error)
    app.add_exception_handler(Exception, on_unexpected)
