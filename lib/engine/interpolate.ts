/**
 * The Compose specification's interpolation of variables in values:
 * `$VAR ${VAR} ${VAR:-default} ${VAR-default} ${VAR:?error} ${VAR?error} ${VAR:+other} ${VAR+other}`
 * and `$$` for a dollar sign; what stands after the operator may hold variables again.
 *
 * @module
 */

import { UsageError } from "../errors.ts";

const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;
const OPERATOR = /^:?[-?+]/;

/**
 * Replaces the variables of a text.
 *
 * @param text A value of a compose file.
 * @param variables Their values; one that is not there is replaced by nothing.
 * @param where File, service and key, for the error.
 * @throws {UsageError} If a variable is malformed, or one is demanded and missing.
 *
 * @example
 * ```ts
 * import { interpolate } from "./interpolate.ts";
 *
 * console.assert(interpolate("${CPUS:-0.5} of $$1", {}, "here") === "0.5 of $1");
 * ```
 */
export function interpolate(
  text: string,
  variables: Record<string, string>,
  where: string,
): string {
  let result = "";
  let at = 0;
  while (at < text.length) {
    const next = text.indexOf("$", at);
    if (next === -1) return result + text.slice(at);
    result += text.slice(at, next);
    const rest = text.slice(next + 1);
    if (rest.startsWith("$")) {
      result += "$";
      at = next + 2;
    } else if (rest.startsWith("{")) {
      const end = closingBrace(rest);
      if (end === -1) throw malformed(text, where, "a brace is not closed");
      result += expand(rest.slice(1, end), text, variables, where);
      at = next + 1 + end + 1;
    } else {
      const name = NAME.exec(rest)?.[0];
      if (name === undefined) throw malformed(text, where, "write $$ for a dollar sign");
      result += variables[name] ?? "";
      at = next + 1 + name.length;
    }
  }
  return result;
}

/** What one `${…}` stands for. */
function expand(
  inside: string,
  text: string,
  variables: Record<string, string>,
  where: string,
): string {
  const name = NAME.exec(inside)?.[0];
  if (name === undefined) throw malformed(text, where, "a variable has no name");
  const after = inside.slice(name.length);
  const value = variables[name];
  if (after === "") return value ?? "";
  const operator = OPERATOR.exec(after)?.[0];
  if (operator === undefined) {
    throw malformed(text, where, `"${after}" is none of :- - :? ? :+ + and a text`);
  }
  // With a colon, an empty value is as good as none.
  const present = value !== undefined && !(operator.startsWith(":") && value === "");
  const word = () => interpolate(after.slice(operator.length), variables, where);
  switch (operator.at(-1)) {
    case "-":
      return present ? value : word();
    case "+":
      return present ? word() : "";
    default:
      if (present) return value;
      throw new UsageError(`Cannot read ${where}: the variable ${name} is missing: ${word()}`);
  }
}

/** The place of the brace that closes the first one; -1 when there is none. */
function closingBrace(text: string): number {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    // An escaped dollar sign opens nothing.
    if (text.startsWith("$$", i)) i++;
    else if (i === 0 || text.startsWith("${", i)) {
      depth++;
      if (i > 0) i++;
    } else if (text[i] === "}" && --depth === 0) return i;
  }
  return -1;
}

function malformed(text: string, where: string, what: string): UsageError {
  return new UsageError(`Cannot read ${where}: "${text}" is no valid value: ${what}`);
}
