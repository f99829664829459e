"""Every error as ``{"detail": "..."}`` with the texts of the contract."""

from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from .db import get_session


def on_http_error(exc: HTTPException) -> ResponseReturnValue:
    """Our own description where a view gave one, else the name of the status."""
    # For an error that no view raised, werkzeug describes it in a sentence of the class.
    own = exc.description not in (None, type(exc).description)
    response = exc.get_response()
    response.data = current_app.json.dumps({"detail": exc.description if own else exc.name})
    response.content_type = "application/json"
    return response


def on_database_error(exc: SQLAlchemyError) -> ResponseReturnValue:
    """Logs the reason in one line: under overload, tracebacks would be a load of their own."""
    # The driver's own error, without the statement and the parameters that SQLAlchemy adds.
    cause = getattr(exc, "orig", None) or exc
    reason = " ".join(f"{type(cause).__name__}: {cause}".split())
    current_app.logger.error("%s %s failed: %s", request.method, request.path, reason)
    # Ends what the error has broken, so that nothing is left to commit afterwards.
    get_session().rollback()
    return {"detail": "Internal Server Error"}, 500


def init_app(app: Flask) -> None:
    """Registers the handlers."""
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(SQLAlchemyError, on_database_error)
