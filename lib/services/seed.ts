/**
 * Fills the database that each run begins with a copy of: an app's tables and rows, from plain SQL or
 * from a dump as pg_dump writes it.
 */

import type postgres from "postgres";
import type { AppData } from "../apps/app.ts";
import { PoolscopeError } from "../errors.ts";
import { type Access, ADMIN_USER, APP_USER, DATABASE, withConnection } from "./database.ts";

/** A part of a script: statements, or a COPY with its rows. */
interface ScriptPart {
  /** Its first line in the script, from 1. */
  line: number;
  sql: string;
  /** The rows that follow a `COPY … FROM stdin`; null for statements. */
  rows: string | null;
}

/**
 * Cuts a script where rows stand between its statements, and leaves out `\restrict` and `\unrestrict`.
 *
 * @param file How messages call it.
 * @throws {PoolscopeError} If it has another command of psql's; the message names the line.
 *
 * @example
 * ```ts
 * import { splitScript } from "./seed.ts";
 *
 * const parts = splitScript("CREATE TABLE t (i int);\nCOPY t FROM stdin;\n1\n2\n\\.\n", "dump.sql");
 * console.assert(parts.length === 2 && parts[1]!.rows === "1\n2\n" && parts[1]!.line === 2);
 * ```
 */
export function splitScript(text: string, file: string): ScriptPart[] {
  const lines = text.split("\n");
  const parts: ScriptPart[] = [];
  let statements: string[] = [];
  let first = 1;
  const finish = (next: number) => {
    const sql = statements.join("\n");
    if (sql.trim() !== "") parts.push({ line: first, sql, rows: null });
    statements = [];
    first = next;
  };
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    if (/^COPY .* FROM stdin;\s*$/i.test(line)) {
      finish(i + 1);
      const end = lines.indexOf("\\.", i + 1);
      if (end === -1) {
        throw new PoolscopeError(`Cannot read ${file}, line ${i + 1}: COPY without \\. at its end`);
      }
      const rows = lines.slice(i + 1, end).map((row) => `${row}\n`).join("");
      parts.push({ line: i + 1, sql: line, rows });
      first = end + 2;
      i = end;
    } else if (/^\\(un)?restrict\b/.test(line)) {
      statements.push(""); // Lines keep their numbers.
    } else if (line.startsWith("\\")) {
      const [command] = line.split(" ");
      throw new PoolscopeError(
        `Cannot read ${file}, line ${
          i + 1
        }: ${command} is a command of psql's; only SQL, COPY … FROM stdin and \\restrict are read`,
      );
    } else statements.push(line);
  }
  finish(lines.length);
  return parts;
}

async function runScript(sql: postgres.Sql, text: string, file: string): Promise<void> {
  for (const part of splitScript(text, file)) {
    try {
      if (part.rows === null) await sql.unsafe(part.sql);
      else await copyRows(sql, part.sql, part.rows);
    } catch (error) {
      const { message, position, where } = error as postgres.PostgresError;
      const before = part.sql.slice(0, Math.max(0, Number(position ?? 1) - 1));
      const copied = /, line (\d+)/.exec(part.rows === null ? "" : where ?? "")?.[1] ?? 0;
      const line = part.line + before.split("\n").length - 1 + Number(copied);
      throw new PoolscopeError(
        `Cannot seed the database: ${file}, line ${line}: ${message.split("\n")[0]}`,
        { cause: error },
      );
    }
  }
}

async function copyRows(sql: postgres.Sql, statement: string, rows: string): Promise<void> {
  const stream = await sql.unsafe(statement.replace(/;\s*$/, "")).writable();
  await new Promise<void>((resolve, reject) => {
    stream.on("error", reject);
    stream.on("finish", resolve);
    stream.end(rows);
  });
}

/** What the administrator does on a new server, before the app's own scripts and after them. */
export const SEED_STEPS = {
  before: [
    `create role ${APP_USER} login`,
    `create database ${DATABASE} owner ${APP_USER}`,
    // In the maintenance database, from where it tells of all of them.
    "create extension pg_stat_statements",
  ],
  after: [
    // Nothing is made from them any more, and each start would copy them.
    "update pg_database set datistemplate = false",
    "drop database template0",
    "drop database template1",
    // Nobody can log in until a start gives the roles passwords.
    `alter role ${ADMIN_USER} password null`,
  ],
};

/** How long an app's database may take to be filled, in seconds. */
const SEED_LIMIT_S = 3600;

/**
 * Makes the app's role and its database, and fills that. Afterwards nobody can log in until the roles
 * are given passwords.
 *
 * @param access A new server's maintenance database, with administrator's rights.
 * @throws {PoolscopeError} If a statement fails; the message names file and line.
 */
export async function seedDatabase(access: Access, { schema, seed }: AppData): Promise<void> {
  const limitS = SEED_LIMIT_S;
  await withConnection(access, async (admin) => {
    for (const step of SEED_STEPS.before) await admin.unsafe(step);
    await withConnection({ ...access, database: DATABASE }, async (sql) => {
      // The app owns its tables, as it would after its own migrations.
      await sql.unsafe(`set role ${APP_USER}`);
      await runScript(sql, schema.text, schema.file);
      await runScript(sql, seed.text, seed.file);
      await sql.unsafe("reset role");
      await sql.unsafe("vacuum (freeze, analyze)");
      for (const step of SEED_STEPS.after) await admin.unsafe(step);
    }, { limitS });
  }, { limitS });
}
