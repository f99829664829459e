/**
 * The doctor's checks of the folder of one app: the description, the files that it names, and the
 * programs that it needs. Nothing is installed or started.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type App, readApp, readData } from "../apps/app.ts";
import { addAppFolder } from "../apps/folders.ts";
import { RUNTIMES } from "../apps/runtime.ts";
import { splitScript } from "../services/seed.ts";
import { PoolscopeError, UsageError } from "../errors.ts";
import { findOnPath } from "../setup/command.ts";
import { type Check, describeRefusal } from "./doctor.ts";

/** The checks beside that of the description, in the order of a start; they throw faults. */
const LOOKS: Record<string, (app: App) => string> = {
  /** Those that the description names beside SQL and routes. */
  files({ folder, lock, dockerfile, locustfile, contract }) {
    const ofParameters = contract.routes.flatMap(({ parameters }) => Object.values(parameters))
      .flatMap((parameter) => "file" in parameter ? [parameter.file] : []);
    const named = [lock, dockerfile, locustfile, ...ofParameters]
      .filter((file) => file !== undefined);
    const missing = named.find((file) => !existsSync(join(folder, file)));
    if (missing !== undefined) {
      throw new UsageError(`${missing} is not there; add the file, or correct app.json`);
    }
    return named.length === 0 ? "it names none" : named.join(", ");
  },
  database(app) {
    const { schema, seed } = readData(app);
    const parts = [schema, seed].flatMap(({ file, text }) => splitScript(text, file));
    const copies = parts.filter(({ rows }) => rows !== null).length;
    const rows = copies === 0 ? "" : `, rows of ${copies} tables by COPY`;
    return [schema.file, seed.file].filter(Boolean).join(", ") + rows;
  },
  routes({ contract: { routes, cases }, healthPath, locustfile }) {
    const load = locustfile === undefined
      ? `${routes.filter(({ weight }) => weight > 0).length} in the load`
      : `${routes.length} checked before the load, which is ${locustfile}'s`;
    return `${load}, ${cases.length} cases; health at ${healthPath}`;
  },
  programs(app) {
    const needs = RUNTIMES[app.runtime].needs(app);
    const missing = needs.filter((program) => findOnPath(program) === null).join(", ");
    if (missing !== "") {
      throw new PoolscopeError(`${missing} not on PATH; install it, or use --engine docker`);
    }
    if (app.runtime === "image") return "Docker alone can run it";
    return needs.length === 0 ? "none beside Poolscope's own" : `${needs.join(", ")} found`;
  },
  hooks: ({ settings }) =>
    [
      settings.nonce ? "a nonce" : "no nonce: the listener must be a process of ours",
      settings.timings ? "timings" : "no timings: the waterfall has fewer parts",
    ].join("; "),
};

function check(name: string, look: () => string): Check {
  try {
    return { name, state: "ok", value: look(), next: null };
  } catch (error) {
    return { name, ...describeRefusal(error, "see docs/your-app.md") };
  }
}

/** Checks the app in a folder, in the order of a start; only the description where that is wrong. */
export function examineApp(path: string): Check[] {
  const read = () => readApp(addAppFolder(path));
  const description = check("app.json", () => {
    const { title, stack, runtime, concurrency } = read();
    return `${title}: ${stack} (${runtime}, ${concurrency})`;
  });
  if (description.state !== "ok") return [description];
  const app = read();
  return [
    description,
    ...Object.entries(LOOKS).map(([name, look]) => check(name, () => look(app))),
  ];
}
