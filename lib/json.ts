/** Files of JSON that people write: a schema says what they may hold, one line what is wrong. */

import { z } from "zod";
import { UsageError } from "./errors.ts";
import { didYouMean } from "./nearest.ts";

/**
 * Checks the text of a file.
 *
 * @param file How the message calls it.
 * @throws {UsageError} Naming the file and the first key that is wrong.
 */
export function parseJson<T>(schema: z.ZodType<T>, text: string, file: string): T {
  const parsed = schema.safeParse(readJson(text, file));
  if (parsed.success) return parsed.data;
  throw new UsageError(`Cannot read ${file}: ${explainIssue(parsed.error.issues[0]!, schema)}`);
}

/** Reads JSON; the error names the file. */
export function readJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = (error as Error).message;
    throw new UsageError(`Cannot read ${file}: it is not JSON (${reason})`, { cause: error });
  }
}

/**
 * What is wrong with a value that a schema describes, each of whose messages says what a field must be.
 *
 * @returns Null where nothing is; else as in `field "rounds" is 0, must be a whole number of at least 1`.
 */
export function explainFault(schema: z.ZodType, value: unknown): string | null {
  const issues = schema.safeParse(value).error?.issues ?? [];
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  if (issue === undefined) return null;
  if (issue.code === "unrecognized_keys") {
    const [key] = issue.keys as [string];
    const names = keysAt(schema, issue.path);
    return `unknown field "${fieldName([...issue.path, key])}"${
      didYouMean(key, names)
    }; the fields are ${names.join(", ")}`;
  }
  if (issue.path.length === 0) return `it is not ${issue.message}`;
  // deno-lint-ignore no-explicit-any -- JSON of any form
  const found = issue.path.reduce((part: any, key) => part?.[key], value);
  const state = found === undefined ? "is missing" : `is ${JSON.stringify(found).slice(0, 80)}`;
  return `field "${fieldName(issue.path)}" ${state}, must be ${issue.message}`;
}

/** As in `processes[0].seed`. */
function fieldName(path: readonly PropertyKey[]): string {
  return path.map((key) => typeof key === "number" ? `[${key}]` : `.${String(key)}`).join("")
    .replace(/^\./, "");
}

/** The keys of the object at a path; an editor's own is none that a person looks for. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let part: unknown = schema;
  for (const key of path) {
    part = part instanceof z.ZodObject ? part.shape[key as string] : undefined;
    if (part instanceof z.ZodOptional) part = part.unwrap();
  }
  return part instanceof z.ZodObject
    ? Object.keys(part.shape).filter((key) => key !== "$schema")
    : [];
}

/** One line of an issue: the key, as in `routes.0.path`, and what it must be. */
function explainIssue(issue: z.core.$ZodIssue, schema: z.ZodType): string {
  if (issue.code === "invalid_union") {
    const meant = meantBranch(issue.errors);
    if (meant !== null) {
      return explainIssue({ ...meant, path: [...issue.path, ...meant.path] }, schema);
    }
  }
  const path = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0]!;
    const meant = didYouMean(key, keysAt(schema, issue.path));
    return `unknown key "${[...issue.path, key].join(".")}"${meant}`;
  }
  const message = issue.message.replace(/^Invalid (input|option): /, "");
  const what = message.charAt(0).toLowerCase() + message.slice(1);
  return path === "" ? what : `"${path}": ${what}`;
}

/** What is wrong in the one of several forms that was clearly meant; null where none was. */
function meantBranch(branches: z.core.$ZodIssue[][]): z.core.$ZodIssue | null {
  const inside = branches.filter(([first]) => first !== undefined && first.path.length > 0);
  const nearly = inside.length === 1 ? inside : inside.filter(({ length }) => length === 1);
  return nearly.length === 1 ? nearly[0]![0]! : null;
}
