"""Django's settings: what the API needs, and nothing that the other two apps do not do."""

from typing import Any

from . import env

DEBUG = False
# Any name: the server listens on loopback or inside the benchmark's own network.
ALLOWED_HOSTS = ["*"]

# There are no sessions, forms, users or pages here, so no middleware has anything to do; FastAPI
# and Flask run none either, but for a delay that is asked for. SECRET_KEY is left out because
# nothing is signed.
DELAY_S = env.DELAY_S
CPU_S = env.CPU_S
HOLD_S = env.HOLD_S
MIDDLEWARE: list[str] = ["blog.delay.wait_first"] if DELAY_S > 0 or CPU_S > 0 else []
INSTALLED_APPS = ["blog"]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

# The database's own time zone is UTC too, else Django would set it in a statement of its own on
# each new connection.
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

_options: dict[str, Any] = {
    # Never "prefer": asking in vain costs a round trip for each new connection.
    **env.TLS,
    # Parameters travel apart from the statement, as in the other apps. By default Django writes
    # them into the text, which then differs each time, and nothing could be prepared.
    "server_side_binding": True,
    # psycopg prepares a statement when it is executed for the sixth time; None is never.
    "prepare_threshold": 5 if env.PREPARED_STATEMENTS else None,
}
if env.REUSE == "app_pool":
    # Connections are opened when they are needed and then kept, as SQLAlchemy's pool does it.
    _options["pool"] = {"min_size": 0, "max_size": env.POOL_SIZE, "timeout": 30}

DATABASES = {
    "default": {
        "ENGINE": "timings.django" if env.TIMINGS else "django.db.backends.postgresql",
        "HOST": env.DATABASE_HOST,
        "PORT": env.DATABASE_PORT,
        "NAME": env.DATABASE_NAME,
        "USER": env.DATABASE_USER,
        # persistent: one connection for each thread, for good. Django's pool asks for 0.
        "CONN_MAX_AGE": None if env.REUSE == "persistent" else 0,
        # A statement of its own: before each request, or before each use of the pool's.
        "CONN_HEALTH_CHECKS": env.LIVENESS_CHECK,
        # PgBouncer in transaction mode gives no cursor beyond a transaction; the same when direct.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": _options,
    }
}

# By default Django mails errors and prints them only while debugging; here they go to stderr.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"database_errors": {"()": "blog.logs.DatabaseErrorInOneLine"}},
    "formatters": {"line": {"format": "[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["database_errors"],
        }
    },
    "loggers": {"django": {"handlers": ["stderr"], "level": "ERROR", "propagate": False}},
}

NONCE = env.NONCE
