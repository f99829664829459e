#!/bin/sh
# Gives the app the drivers' password file, which must be its user's alone, and drops root for it: the
# one that is named, or one that is written of the secret.
set -eu
umask 077
mkdir -p /run/poolscope
if [ -n "${PGPASSFILE:-}" ]; then
  cat "$PGPASSFILE" >/run/poolscope/pgpass
else
  # host:port:database:user:password; a colon or backslash in the password is escaped.
  sed "s/[:\\\\]/\\\\&/g; s/^/*:*:*:$PGUSER:/" /run/secrets/app_password >/run/poolscope/pgpass
fi
chown -R app:app /run/poolscope
export PGPASSFILE=/run/poolscope/pgpass HOME=/home/app
exec setpriv --reuid=app --regid=app --init-groups -- "$@"
