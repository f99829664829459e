"""gunicorn reads this file by itself, in the master, so a wrong setting ends the start here."""

import os

from blog.config import Config

bind = f"{Config.HOST}:{Config.PORT}"
backlog = Config.BACKLOG
worker_class = "gthread"
workers = Config.WORKERS
threads = Config.THREADS
# Above any number of users: a kept-alive connection that waits also counts.
worker_connections = 10_000
keepalive = 75
timeout = 120
graceful_timeout = 30
# The heartbeat file in memory, else a busy disk looks like a dead worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
# Errors go to standard error; there is no access log, as it would cost each request.
accesslog = None
errorlog = "-"
loglevel = "info"
