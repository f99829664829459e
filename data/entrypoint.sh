#!/bin/sh
# The init script runs as postgres, to whom a secret may be closed.
set -eu
if [ "$(id -u)" = 0 ]; then
  install -d -m 755 /run/poolscope
  install -o postgres -g postgres -m 600 /run/secrets/app_password /run/poolscope/app_password
fi
exec docker-entrypoint.sh "$@"
