/** The database of a run: names, roles, passwords and connections. */

import { randomBytes } from "node:crypto";
import postgres from "postgres";
import type { Address } from "../hosts/host.ts";
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

/**
 * Opens one connection to PostgreSQL or PgBouncer; the caller ends it. Whatever is not given here is
 * the driver's default, not what a variable such as `PGTARGETSESSIONATTRS` says.
 */
export function connect(
  access: Access,
  options: postgres.Options<Record<string, never>> = {},
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
