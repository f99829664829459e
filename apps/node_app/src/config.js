/** All that is set from outside, read from the environment once. */

import { readFileSync } from "node:fs";

const { env } = process;

function number(name, fallback, max = 100_000) {
  const text = env[name] ?? String(fallback);
  if (/^[1-9]\d{0,5}$/.test(text) && Number(text) <= max) return Number(text);
  throw new Error(`${name} is "${text}": must be an integer from 1 to ${max}`);
}

function choice(name, ...choices) {
  const text = env[name] ?? choices[0];
  if (choices.includes(text)) return text;
  throw new Error(`${name} is "${text}": must be one of ${choices.join(", ")}`);
}

function ssl() {
  if (choice("PGSSLMODE", "disable", "verify-full") === "disable") return false;
  return { ca: readFileSync(env.PGSSLROOTCERT, "utf8") };
}

/** Server and connection settings. */
export const config = {
  host: env.HOST ?? "127.0.0.1",
  port: number("PORT", 8000, 65_535),
  backlog: number("LISTEN_BACKLOG", 4096),
  workers: number("WEB_CONCURRENCY", 2),
  reuse: choice("DB_REUSE", "app_pool", "per_request"),
  poolSize: number("DB_POOL_SIZE", 32),
  preparedStatements: choice("DB_PREPARED_STATEMENTS", "true", "false") === "true",
  nonce: env.APP_NONCE ?? "",
  /** pg takes the rest from PGHOST, PGPORT, PGDATABASE, PGUSER and the file of PGPASSFILE. */
  database: { ssl: ssl() },
};
