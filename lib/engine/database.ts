/**
 * The database of a study, whatever it runs in: names, roles, passwords, and a clone of the seeded
 * template for each run.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { PoolscopeError } from "../errors.ts";
import { withoutVariables } from "../setup/environment.ts";
import type { Access } from "./engine.ts";

/** The database that runs use, and the seeded one that it is cloned from. */
export const DATABASE = "app";
export const TEMPLATE = "poolscope_template";
/** The role of the apps, and of Poolscope itself. */
export const APP_USER = "app";
export const ADMIN_USER = "poolscope";

/** A fresh password: 32 hexadecimal digits, so that no file format needs to escape it. */
export function randomPassword(): string {
  return randomBytes(16).toString("hex");
}

/**
 * Opens one connection to PostgreSQL or PgBouncer; the caller ends it. Whatever is not given here is
 * the driver's default, not what a variable such as `PGTARGETSESSIONATTRS` says.
 *
 * @param access How to reach the server.
 * @param options Options of the driver.
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

/**
 * Gives a role a password. The server writes a statement that fails into its log, and where the user
 * of a system PostgreSQL asks for it every statement: this one never.
 *
 * @param admin A connection of its own, with administrator's rights; it logs no statement any more.
 */
export async function setPassword(
  admin: postgres.Sql,
  role: string,
  password: string,
): Promise<void> {
  await admin.unsafe(
    "set log_statement = none; set log_min_error_statement = panic; " +
      "set log_min_duration_statement = -1; set log_min_duration_sample = -1; " +
      "set log_transaction_sample_rate = 0; set debug_print_parse = off",
  );
  await admin.unsafe(`alter role ${role} password '${password}'`);
}

/** A server whose roles have passwords of this start. */
export interface PreparedDatabase {
  /** How the administrator reaches it. */
  access: Access;
  /** An open connection of the administrator's. */
  admin: postgres.Sql;
  /** The app's password. */
  appPassword: string;
  /** The app's SCRAM secret as the server keeps it. */
  appSecret: string;
}

/**
 * Gives both roles new passwords and opens the administrator's connection.
 *
 * @param access The server, with the administrator's first password.
 * @throws {PoolscopeError} If the server refuses.
 */
export async function prepareDatabase(access: Access): Promise<PreparedDatabase> {
  const appPassword = randomPassword();
  const adminPassword = randomPassword();
  const first = connect(access);
  try {
    await setPassword(first, APP_USER, appPassword);
    await setPassword(first, ADMIN_USER, adminPassword);
    // In the maintenance database, from where it tells of all of them.
    await first.unsafe("create extension if not exists pg_stat_statements");
    const [role] = await first`select rolpassword from pg_authid where rolname = ${APP_USER}`;
    const changed = { ...access, password: adminPassword };
    const appSecret = String(role?.rolpassword);
    return { access: changed, admin: connect(changed), appPassword, appSecret };
  } catch (error) {
    throw new PoolscopeError(`Cannot prepare PostgreSQL: ${firstLine(error)}`, { cause: error });
  } finally {
    await first.end({ timeout: 1 });
  }
}

/** Seconds that an idle PostgreSQL may take for an answer, and for a clone of the template. */
const ANSWER_TIMEOUT_S = 3;
const CLONE_TIMEOUT_S = 60;

/**
 * Whether a server answers in time.
 *
 * @throws {Error} If it does not.
 */
export async function checkAnswers(access: Access): Promise<void> {
  // A new connection: the one that is open has a process of its own, which may outlive the rest.
  const fresh = connect(access);
  try {
    await withDeadline(fresh`select 1`, ANSWER_TIMEOUT_S, "it does not answer");
  } finally {
    await fresh.end({ timeout: 0 });
  }
}

/**
 * Replaces the run's database by a fresh clone of the template.
 *
 * @throws {PoolscopeError} If the server refuses or hangs.
 */
export async function cloneTemplate(admin: postgres.Sql): Promise<void> {
  const clone = async () => {
    // A scenario may have its own ideas of how long a statement takes.
    await admin.unsafe("set statement_timeout = 0; set lock_timeout = 0");
    await admin.unsafe(`drop database if exists ${DATABASE} with (force)`);
    await admin.unsafe(
      `create database ${DATABASE} template ${TEMPLATE} owner ${APP_USER} strategy file_copy`,
    );
    // Of runs before this one nothing is asked any more.
    await admin.unsafe("select pg_stat_statements_reset()");
    // Without it the copy would be written back during the load.
    await admin.unsafe("checkpoint");
  };
  await withDeadline(clone(), CLONE_TIMEOUT_S, `PostgreSQL took longer than ${CLONE_TIMEOUT_S} s`);
}

/** The first line of an error's message. */
export function firstLine(error: unknown): string {
  return (error as Error).message.split("\n")[0]!;
}

/** Waits at most this long; what is waited for goes on and its end is nobody's business any more. */
async function withDeadline<T>(work: PromiseLike<T>, seconds: number, late: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new PoolscopeError(late)), seconds * 1000);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
