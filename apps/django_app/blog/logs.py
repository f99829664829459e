"""How errors are logged."""

import logging

from django.db import Error


class DatabaseErrorInOneLine(logging.Filter):
    """Reduces a database error to its reason: under overload, tracebacks would be a load of
    their own. Any other error keeps its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record and lets it pass."""
        exc = record.exc_info[1] if record.exc_info else None
        if isinstance(exc, Error):
            request = getattr(record, "request", None)
            where = f"{request.method} {request.path}" if request else record.getMessage()
            reason = " ".join(f"{type(exc).__name__}: {exc}".split())
            record.msg, record.args = "%s failed: %s", (where, reason)
            record.exc_info = None
        return True
