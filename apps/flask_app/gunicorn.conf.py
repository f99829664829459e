"""gunicorn reads this file by itself, in the master, so a wrong setting ends the start here."""

import os
import socket

from blog.config import Config

bind = f"{Config.HOST}:{Config.PORT}"
backlog = Config.BACKLOG
# Each worker has a listen queue of its own, and the kernel spreads connections over them. With one
# queue for all, the worker that wakes first takes a whole burst and keeps it for as long as the
# connections live, while the others stand idle.
reuse_port = True
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
# Else a socket in the user's home, which apps side by side would share.
control_socket_disable = True
# Errors go to standard error; there is no access log, as it would cost each request.
accesslog = None
errorlog = "-"
loglevel = "info"


def on_starting(_server):
    """Refuses a port that is taken, as shared queues would let two servers share it unnoticed."""
    found = socket.getaddrinfo(Config.HOST, Config.PORT, type=socket.SOCK_STREAM)
    family, _, _, _, address = found[0]
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as exc:
            raise SystemExit(f"Cannot start: {bind}: {exc.strerror}") from None
