#!/bin/sh
# Fills the two templates from the environment and the secrets, then starts PgBouncer as a user of
# its own, for it refuses root. A finished user list in /run/secrets/userlist is taken as it is.
set -eu
install -d -o postgres -g postgres -m 700 /run/poolscope
umask 077
# Each ${NAME} of a template by its variable; one without a value ends the start.
fill() {
  perl -pe 's/\$\{([A-Z_]+)\}/$ENV{$1} \/\/ die "Cannot fill $ARGV: $1 has no value\n"/ge' \
    "/usr/share/poolscope/$1"
}
export USERLIST=/run/poolscope/userlist.txt
fill pgbouncer.ini >/run/poolscope/pgbouncer.ini
if [ -f /run/secrets/userlist ]; then
  cat /run/secrets/userlist >"$USERLIST"
else
  # In this file a quotation mark is written twice.
  APP_SECRET=$(sed 's/"/""/g' /run/secrets/app_password)
  STATS_PASSWORD=$(sed 's/"/""/g' /run/secrets/admin_password)
  export APP_SECRET STATS_PASSWORD
  fill userlist.txt >"$USERLIST"
  unset APP_SECRET STATS_PASSWORD
fi
chown postgres:postgres /run/poolscope/*
# Certificates, where there are any, come as root's.
[ ! -d /run/poolscope-tls ] || chown -R postgres:postgres /run/poolscope-tls
exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
