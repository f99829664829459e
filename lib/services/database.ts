/** The database of a run: names, roles, passwords and connections. */

import { randomBytes } from "node:crypto";
import postgres from "postgres";
import type { Address } from "../hosts/host.ts";
import { answerWithin } from "../hosts/wait.ts";
import { withoutVariables } from "../setup/environment.ts";

/** The database that runs use. */
export const DATABASE = "app";
/** The role of the apps, and of Poolscope itself. */
export const APP_USER = "app";
export const ADMIN_USER = "poolscope";

/** How to reach a database server or PgBouncer's console with administrator's rights. */
export interface Access extends Address {
  database: string;
  username: string;
  password: string;
}

/** A fresh password: 32 hexadecimal digits, so that no file format needs to escape it. */
export function randomPassword(): string {
  return randomBytes(16).toString("hex");
}

/** How long what one connection is used for may take, in seconds. */
const USE_LIMIT_S = 60;

/**
 * Opens one connection, uses and closes it. The driver forgets what it was asked when a connection
 * breaks in the wrong moment, so that nothing may wait for its answer without a limit.
 *
 * @param use What is asked; what it gives is given back.
 * @param options The driver's, and `limitS`: how long it may take. @default limitS: 60
 * @throws {PoolscopeError} If it takes longer.
 * @throws What `use` throws.
 */
export async function withConnection<T>(
  access: Access,
  use: (sql: postgres.Sql) => Promise<T>,
  { limitS = USE_LIMIT_S, ...options }: DriverOptions & { limitS?: number } = {},
): Promise<T> {
  const sql = connect(access, options);
  try {
    return await answerWithin(limitS, `The server at port ${access.port}`, use(sql));
  } finally {
    await sql.end({ timeout: 1 });
  }
}

type DriverOptions = postgres.Options<Record<string, never>>;

/**
 * Opens one connection to PostgreSQL or PgBouncer; the caller ends it. Whatever is not given here is
 * the driver's default, not what a variable such as `PGTARGETSESSIONATTRS` says.
 */
export function connect(
  access: Access,
  options: DriverOptions = {},
): postgres.Sql {
  return withoutVariables("PG", () =>
    postgres({
      ...access,
      max: 1,
      onnotice: () => {},
      connect_timeout: 5,
      // The driver asks for types behind our back, and nobody catches it when that fails.
      fetch_types: false,
      ...options,
    }));
}
