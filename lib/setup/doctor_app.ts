/**
 * What the doctor looks at in the folder of one app: the description, the files that it names, and the
 * programs that it needs. Nothing is installed or started.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type App, readApp } from "../apps/app.ts";
import { readData } from "../apps/data.ts";
import { addAppFolder } from "../apps/folders.ts";
import { RUNTIMES } from "../apps/runtime.ts";
import { splitScript } from "../engine/seed.ts";
import { PoolscopeError, UsageError } from "../errors.ts";
import { findOnPath } from "./command.ts";
import type { Check } from "./doctor.ts";

/** Makes a check of what throws one line where it does not hold. */
function check(name: string, look: () => string): Check {
  try {
    return { name, state: "ok", value: look(), next: null };
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof PoolscopeError)) throw error;
    const [value = "", ...next] = error.message.split("; ");
    return { name, state: "missing", value, next: next.join("; ") || "see docs/your-app.md" };
  }
}

/**
 * Looks at an app.
 *
 * @param path Its folder.
 * @returns What was found, in the order of a start; where the description itself is wrong, that alone.
 */
export function examineApp(path: string): Check[] {
  let app: App | undefined;
  const description = check("app.json", () => {
    app = readApp(addAppFolder(path));
    return `${app.title}: ${app.stack} (${app.runtime}, ${app.concurrency})`;
  });
  if (app === undefined) return [description];
  const { contract, healthPath, locustfile, settings } = app;
  const checked = app;
  return [
    description,
    check("files", () => namedFiles(checked)),
    check("database", () => describeData(checked)),
    check("routes", () => {
      const loaded = contract.routes.filter(({ weight }) => weight > 0).length;
      const load = locustfile === undefined
        ? `${loaded} in the load`
        : `${contract.routes.length} checked before the load, which is ${locustfile}'s`;
      return `${load}, ${contract.cases.length} cases; health at ${healthPath}`;
    }),
    check("programs", () => findPrograms(checked)),
    {
      name: "hooks",
      state: "ok",
      value: [
        settings.nonce ? "a nonce" : "no nonce: the listener must be a process of ours",
        settings.timings ? "timings" : "no timings: the waterfall has fewer parts",
      ].join("; "),
      next: null,
    },
  ];
}

/** The files that a description names beside SQL and routes. */
function namedFiles({ folder, lock, dockerfile, locustfile, contract }: App): string {
  const ofParameters = contract.routes.flatMap(({ parameters }) => Object.values(parameters))
    .flatMap((parameter) => "file" in parameter ? [parameter.file] : []);
  const named = [lock, dockerfile, locustfile, ...ofParameters].filter((file) =>
    file !== undefined
  );
  const missing = named.find((file) => !existsSync(join(folder, file)));
  if (missing !== undefined) {
    throw new UsageError(`${missing} is not there; add the file, or correct app.json`);
  }
  return named.length === 0 ? "it names none" : named.join(", ");
}

function describeData(app: App): string {
  const { schema, seed } = readData(app);
  const parts = [schema, seed].flatMap(({ file, text }) => splitScript(text, file));
  const copies = parts.filter(({ rows }) => rows !== null).length;
  const rows = copies === 0 ? "" : `, rows of ${copies} tables by COPY`;
  return [schema.file, seed.file].filter(Boolean).join(", ") + rows;
}

function findPrograms(app: App): string {
  const needs = RUNTIMES[app.runtime].needs(app);
  const missing = needs.filter((program) => findOnPath(program) === null);
  if (missing.length > 0) {
    throw new PoolscopeError(
      `${missing.join(", ")} not on PATH; install it, or use --engine docker`,
    );
  }
  if (app.runtime === "image") return "Docker alone can run it";
  return needs.length === 0 ? "none beside Poolscope's own" : `${needs.join(", ")} found`;
}
