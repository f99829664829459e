#!/bin/bash
# The documented interface of the official image's entrypoint: the POSTGRES_* variables, their _FILE
# forms, PGDATA, and /docker-entrypoint-initdb.d, which is run once when the data folder is new.
set -euo pipefail

fail() {
  echo "docker-entrypoint: $*" >&2
  exit 1
}

# Takes a variable from the file that NAME_FILE names, if it does.
from_file() {
  local name=$1 file="$1_FILE"
  if [ -n "${!file:-}" ]; then
    [ -z "${!name:-}" ] || fail "$name and $file are both set"
    export "$name"="$(<"${!file}")"
    unset "$file"
  fi
}

run_init_files() {
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
    *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
    *.sql) run_sql -f "$file" ;;
    *.sql.gz) gunzip -c "$file" | run_sql ;;
    esac
  done
}

run_sql() {
  psql -qXv ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" "$@"
}

# The server as it will run, reachable through its socket file only.
temporarily() {
  pg_ctl -D "$PGDATA" -o "$(printf '%q ' "${@:2}" -c listen_addresses=)" -w -s start
}

build_database() {
  [ -n "${POSTGRES_PASSWORD:-}" ] || [ "${POSTGRES_HOST_AUTH_METHOD:-}" = trust ] ||
    fail "POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE must be set"
  # Word splitting on purpose: it is a list of arguments.
  # shellcheck disable=SC2086
  initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-}") \
    ${POSTGRES_INITDB_ARGS:-} ${POSTGRES_INITDB_WALDIR:+--waldir "$POSTGRES_INITDB_WALDIR"}
  printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" \
    >>"$PGDATA/pg_hba.conf"
  temporarily "$@"
  if [ "$POSTGRES_DB" != postgres ]; then
    psql -qXv ON_ERROR_STOP=1 -v name="$POSTGRES_DB" -U "$POSTGRES_USER" -d postgres \
      <<<'CREATE DATABASE :"name";'
  fi
  run_init_files
  pg_ctl -D "$PGDATA" -m fast -w -s stop
}

[ "${1:0:1}" != - ] || set -- postgres "$@"
if [ "$1" = postgres ]; then
  from_file POSTGRES_PASSWORD
  from_file POSTGRES_USER
  from_file POSTGRES_DB
  from_file POSTGRES_INITDB_ARGS
  export POSTGRES_USER=${POSTGRES_USER:-postgres}
  export POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
  if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    chown -R postgres "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
  fi
  if [ ! -s "$PGDATA/PG_VERSION" ]; then build_database "$@"; fi
fi
exec "$@"
