/**
 * Fills the template that each run's database is cloned from: an app's tables and rows, from plain SQL
 * or from a dump as pg_dump writes it.
 *
 * @module
 */

import type postgres from "postgres";
import type { AppData } from "../apps/data.ts";
import { PoolscopeError } from "../errors.ts";
import { APP_USER, connect, TEMPLATE } from "./database.ts";
import type { Access } from "./engine.ts";

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
 * @param text The script.
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
      throw new PoolscopeError(
        `Cannot read ${file}, line ${i + 1}: ${
          line.split(" ")[0]
        } is a command of psql's; only SQL, COPY … FROM stdin and \\restrict are read`,
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

/**
 * Makes the template and fills it; one that is there is replaced.
 *
 * @param access The server, with administrator's rights.
 * @param data The app's SQL.
 * @throws {PoolscopeError} If a statement fails; the message names file and line.
 */
export async function seedTemplate(access: Access, { schema, seed }: AppData): Promise<void> {
  const admin = connect(access);
  try {
    await admin.unsafe(`drop database if exists ${TEMPLATE} with (force)`);
    await admin.unsafe(`create database ${TEMPLATE} owner ${APP_USER}`);
  } finally {
    await admin.end({ timeout: 1 });
  }
  const sql = connect({ ...access, database: TEMPLATE });
  try {
    // The app owns its tables, as it would after its own migrations.
    await sql.unsafe(`set role ${APP_USER}`);
    await runScript(sql, schema.text, schema.file);
    await runScript(sql, seed.text, seed.file);
    await sql.unsafe("reset role");
    await sql.unsafe("vacuum (freeze, analyze)");
    await sql.unsafe("checkpoint");
  } finally {
    await sql.end({ timeout: 1 });
  }
}
