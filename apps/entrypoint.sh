#!/bin/sh
# Writes the drivers' password file, which must be the reader's alone, and drops root for the app.
set -eu
umask 077
mkdir -p /run/poolscope
# host:port:database:user:password; a colon or backslash in the password is escaped.
sed "s/[:\\\\]/\\\\&/g; s/^/*:*:*:$PGUSER:/" /run/secrets/app_password >/run/poolscope/pgpass
chown -R app:app /run/poolscope
export PGPASSFILE=/run/poolscope/pgpass HOME=/home/app
exec setpriv --reuid=app --regid=app --init-groups -- "$@"
