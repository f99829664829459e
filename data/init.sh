#!/bin/sh
# Run once by the image's entrypoint, as the database's superuser: the app's role and its database.
set -eu
PGOPTIONS="-c log_min_error_statement=panic" psql -qXv ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres <<'SQL'
\set password `cat /run/poolscope/app_password`
CREATE ROLE app LOGIN PASSWORD :'password';
CREATE DATABASE app OWNER app;
\connect app
-- The app owns its tables, as it would after its own migrations.
SET ROLE app;
\i /usr/share/poolscope/schema.sql
\i /usr/share/poolscope/seed.sql
RESET ROLE;
VACUUM (FREEZE, ANALYZE);
SQL
