"""The engine, one for each worker process, and one session for each request."""

from flask import Flask, current_app, g
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool, QueuePool


def build_engine(app: Flask) -> Engine:
    """An engine that keeps and prepares as the settings say."""
    connect_args = {
        # Never "prefer": asking in vain costs a round trip for each new connection.
        **app.config["TLS"],
        # psycopg prepares a statement when it is executed for the sixth time; None is never.
        "prepare_threshold": 5 if app.config["PREPARED_STATEMENTS"] else None,
    }
    if app.config["REUSE"] == "per_request":
        pool = {"poolclass": NullPool}
    else:
        pool = {
            "poolclass": QueuePool,
            "pool_size": app.config["POOL_SIZE"],
            "max_overflow": 0,
            "pool_timeout": 30,
            "pool_pre_ping": app.config["LIVENESS_CHECK"],
        }
    url = app.config["DATABASE_URL"]
    if not app.config["TIMINGS"]:
        return create_engine(url, connect_args=connect_args, **pool)
    from timings import sqlalchemy

    pool["poolclass"] = sqlalchemy.timed(pool["poolclass"])
    engine = create_engine(url, connect_args=connect_args, **pool)
    sqlalchemy.install(engine)
    return engine


def get_session() -> Session:
    """The session of this request, made when it is first asked for."""
    if "session" not in g:
        g.session = current_app.extensions["session_factory"]()
    return g.session


def close_session(_error: BaseException | None = None) -> None:
    """Ends the transaction and gives the connection back."""
    session = g.pop("session", None)
    if session is not None:
        with session:
            # Not the rollback of a mere close: at a rollback psycopg forgets what it has prepared
            # and counts anew, so that reads would never be prepared at all.
            session.commit()


def init_app(app: Flask) -> None:
    """Binds the sessions to the application."""
    # What was read stays readable after the commit, without a second SELECT.
    app.extensions["session_factory"] = sessionmaker(build_engine(app), expire_on_commit=False)
    app.teardown_appcontext(close_session)
