/**
 * An app: a folder with `app.json`, which says how it is started, what it can be told and what it
 * answers. The one description goes to both engines, to the load and to the report.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { UsageError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { BOTTLENECKS } from "../bottlenecks.ts";
import { REUSES, settingOf } from "../settings.ts";
import { addAppFolder, appFolders, describeFolder, foreignFolder, recordOf } from "./folders.ts";
import { CONTRACT, type Contract, ROUTES } from "./routes.ts";

const TEXT = z.string().min(1);
const REUSE = z.enum(REUSES);

/** A setting that the app is told, and its default; without `env`, what it always is. */
const setting = <T extends z.ZodType>(value: T) =>
  z.strictObject({ env: TEXT.optional(), default: value.optional() });
const COUNT = z.int().min(1);
const VARIABLE = z.strictObject({ env: TEXT });

/** What the template of a database URL may have in braces. */
const URL_PARTS = ["user", "password", "host", "port", "database", "sslmode", "sslrootcert"];

/** A setting in the text of an advice. */
export const SETTING_IN_TEXT = /\{(\w+)\}/g;

function isKnown(name: string): boolean {
  return settingOf(name) !== undefined;
}

const SETTINGS = z.strictObject({
  workers: setting(COUNT).optional(),
  threads: setting(COUNT).optional(),
  poolSize: setting(COUNT).optional(),
  reuse: setting(REUSE).optional(),
  preparedStatements: setting(z.boolean()).optional(),
  listenBacklog: setting(COUNT).optional(),
  appDelayMs: setting(z.number()).optional(),
  host: VARIABLE.default({ env: "HOST" }),
  port: VARIABLE.default({ env: "PORT" }),
  nonce: VARIABLE.optional(),
  timings: VARIABLE.optional(),
});

/** What an `app.json` may hold; `$schema` is an editor's own, which finds the schema by it. */
const APP = z.strictObject({
  $schema: z.string().optional(),
  title: TEXT
    .describe("The name that people read."),
  stack: TEXT
    .describe("Framework, driver and server, in one line."),
  runtime: z.enum(["python", "node", "command", "image"])
    .describe(
      "How it is installed and started; `command` is a program of any language, `image` runs in Docker only.",
    ),
  concurrency: z.enum(["threads", "event_loop"])
    .describe(
      "`threads`: a request holds a thread of a worker; `event_loop`: a worker has many requests in flight.",
    ),
  command: z.array(TEXT).min(1).optional()
    .describe(
      "Program and arguments, run in the app's folder (built apps: in a copy of it), the same for every scenario.",
    ),
  build: z.array(z.array(TEXT).min(1)).default([])
    .describe(
      "Commands that build it, run in a copy of the folder whenever a file of it has changed.",
    ),
  version: z.array(TEXT).min(1).optional()
    .describe("A command whose first line is kept as the version of what built or runs it."),
  lock: TEXT.optional()
    .describe(
      "The pinned packages: a requirements file for `python`, package-lock.json for `node`.",
    ),
  environment: z.enum(["own", "shared"]).default("own")
    .describe("Whether a `python` app has a virtual environment of its own."),
  dockerfile: TEXT.optional()
    .describe("Builds its image for Docker."),
  context: TEXT.default(".")
    .describe("The build context of the Dockerfile."),
  contextFiles: z.array(TEXT).optional()
    .describe("What of the context is sent; everything by default."),
  image: TEXT.optional()
    .describe("An image instead of a Dockerfile."),
  containerPort: z.int().min(1).max(65_535).default(8000)
    .describe("The port on which it listens in its container."),
  healthPath: z.string().regex(/^\//, "must begin with /")
    .describe("Answers 2xx without the database as soon as the app can serve."),
  reuse: z.array(REUSE).min(1)
    .describe("The ways in which it can keep connections; the first is the default."),
  settings: SETTINGS
    .describe(
      "The environment variable of each setting that it can be told, and its default; without `env`, what it always is.",
    ),
  databaseUrl: z.strictObject({
    env: TEXT,
    template: TEXT.refine(
      (text) => [...text.matchAll(/\{(\w*)\}/g)].every(([, name]) => URL_PARTS.includes(name!)),
      `may have {${URL_PARTS.join("}, {")}}`,
    ),
  }).optional()
    .describe("A variable for the database's URL, and what the URL is made of."),
  logs: z.array(z.strictObject({
    pattern: z.string().refine(isPattern, "must be a regular expression"),
    cause: TEXT,
    fatal: z.boolean().default(false),
  })).default([])
    .describe("Patterns of its log with the cause that they tell; `fatal` fails the run."),
  advice: z.partialRecord(
    z.enum(BOTTLENECKS),
    TEXT.refine(
      (text) => [...text.matchAll(SETTING_IN_TEXT)].every(([, name]) => isKnown(name!)),
      "may have settings in braces, as in {threads}",
    ),
  ).default({})
    .describe(
      "What to do about a bottleneck, by its name; a setting in braces stands for its relieved value.",
    ),
  routes: z.union([TEXT, ROUTES], "must be the name of a file, or a list of routes")
    .describe("The requests of the load, or the name of a file with them."),
  locustfile: TEXT.optional()
    .describe("A locustfile whose user classes are the load instead, in a closed loop."),
  schema: TEXT
    .describe("The tables: plain SQL, or a plain dump."),
  seed: TEXT.optional()
    .describe("The rows: plain SQL, or a plain dump."),
}).superRefine((app, context) => {
  const missing = (key: string, why: string) =>
    context.addIssue({ code: "custom", path: key.split("."), message: `is missing: ${why}` });
  if (app.runtime === "image") {
    if (app.image === undefined && app.dockerfile === undefined) {
      missing("image", "an app of runtime image names one, or a dockerfile");
    }
  } else if (app.command === undefined) {
    missing("command", "the program that serves the app, and its arguments");
  }
  if ((app.runtime === "python" || app.runtime === "node") && app.lock === undefined) {
    missing("lock", "the file with the versions of its packages");
  }
  // How many connections an app may open decides what a pooler can do for it.
  if (app.concurrency === "threads" && app.settings.threads?.default === undefined) {
    missing("settings.threads.default", "how many threads a worker has");
  }
  if (app.reuse.includes("app_pool") && app.settings.poolSize?.default === undefined) {
    missing("settings.poolSize.default", "how many connections the pool of a worker holds");
  }
});

/** A JSON Schema, or one of a part. */
export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** The JSON Schema of `app.json`, by which an editor completes and checks it. */
export function appSchema(): JsonSchema {
  return { title: "An app of Poolscope", ...z.toJSONSchema(APP, { io: "input" }) };
}

/** An app, checked. */
export interface App extends Omit<z.infer<typeof APP>, "routes" | "$schema"> {
  /** Its name in scenarios. */
  name: string;
  /** The path of its folder. */
  folder: string;
  /** The file of its routes; `app.json` where they stand there. */
  routesFile: string;
  /** What it answers, and the work of it. */
  contract: Contract;
}

/** The settings of a scenario that an app may be told. */
export const APP_KEYS = [
  "workers",
  "threads",
  "poolSize",
  "reuse",
  "preparedStatements",
  "listenBacklog",
  "appDelayMs",
] as const;

/** One of {@linkcode APP_KEYS}. */
export type AppKey = typeof APP_KEYS[number];

/** What holds of an app that says nothing of a setting. */
const UNSAID = { workers: 1, threads: 1, poolSize: 1, preparedStatements: true, appDelayMs: 0 };

function isPattern(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Checks the text of an `app.json`, and reads its file of routes where it names one.
 *
 * @param text The text.
 * @param file How messages call the file.
 * @param place The app's name and folder.
 * @throws {UsageError} Naming the file and the key.
 */
export function parseApp(
  text: string,
  file: string,
  { name, folder }: Pick<App, "name" | "folder">,
): App {
  const { routes, $schema: _, ...said } = parseJson(APP, text, file);
  const app = { ...said, name, folder };
  if (typeof routes !== "string") {
    return { ...app, routesFile: join(folder, "app.json"), contract: { routes, cases: [] } };
  }
  const routesFile = join(folder, routes);
  const contract = parseJson(CONTRACT, readText(routesFile), show(routesFile));
  return { ...app, routesFile, contract };
}

/** A path as messages show it: from the checkout on. */
function show(path: string): string {
  return relative(fileURLToPath(new URL("../..", import.meta.url)), path);
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`Cannot read ${show(file)}: ${code}; restore the file`, { cause: error });
  }
}

/**
 * The text of an app's own locustfile.
 *
 * @returns Nothing where it has none.
 * @throws {UsageError} If it cannot be read.
 */
export function readLocustfile({ folder, locustfile }: App): string | undefined {
  return locustfile === undefined ? undefined : readText(join(folder, locustfile));
}

const known = new Map<string, App>();

/**
 * Reads an app by its name.
 *
 * @param name Its name in scenarios.
 * @param root The checkout that its folder is in. @default this one
 * @throws {UsageError} If there is no such app, or its `app.json` or file of routes is wrong; the
 * message names file and key.
 *
 * @example
 * ```ts
 * import { readApp } from "./app.ts";
 *
 * console.assert(readApp("node").reuse[0] === "app_pool");
 * ```
 */
export function readApp(name: string, root?: string): App {
  const kept = root === undefined ? known.get(name) : undefined;
  if (kept !== undefined) return kept;
  const place = appFolders(root).find((app) => app.name === name);
  if (place === undefined) {
    const names = appFolders(root).map((app) => app.name);
    throw new UsageError(`Cannot use app "${name}": the apps are ${names.join(", ")}`);
  }
  const file = join(place.folder, "app.json");
  const record = recordOf(place);
  const text = record === undefined ? readText(file) : JSON.stringify(record);
  const app = parseApp(text, show(file), place);
  if (root === undefined) known.set(name, app);
  return app;
}

/** What a plan keeps of an app that is not in `apps/`, so that its study can be read without it. */
export interface AppRecord {
  /** Its folder, from the checkout on. */
  folder: string;
  /** Its `app.json`, with the routes in it. */
  description: Record<string, unknown>;
}

/** The record of an app; null for one of `apps/`. */
export function recordApp(name: string): AppRecord | null {
  const folder = foreignFolder(name);
  if (folder === null) return null;
  const app = readApp(name);
  const description = { ...describeFolder(app), routes: app.contract.routes };
  return { folder, description };
}

/** Makes an app of a plan known, from a path or from a record of it. */
export function addRecordedApp(app: string | AppRecord): void {
  if (typeof app === "string") addAppFolder(app);
  else addAppFolder(app.folder, app.description);
}

/** What a scenario of an app has where it says nothing itself. */
export function appDefaults({ settings, reuse }: App) {
  const of = <K extends keyof typeof UNSAID>(key: K) => settings[key]?.default ?? UNSAID[key];
  return {
    workers: of("workers") as number,
    threads: of("threads") as number,
    poolSize: of("poolSize") as number,
    preparedStatements: of("preparedStatements") as boolean,
    appDelayMs: of("appDelayMs") as number,
    reuse: settings.reuse?.default ?? reuse[0]!,
  };
}

/**
 * Refuses a setting that the app cannot be given.
 *
 * @throws {UsageError} Naming the setting.
 */
export function checkAppSettings(app: App, values: Record<AppKey, unknown>): void {
  const fail = (key: string, value: unknown, why: string): never => {
    throw new UsageError(
      `Cannot build scenario: ${key} is ${JSON.stringify(value)} for ${app.title}, ${why}`,
    );
  };
  const { threads, reuse } = values;
  if (app.concurrency === "event_loop" && threads !== 1) {
    fail(
      "threads",
      threads,
      "whose workers run an event loop; leave it at 1 and set workers or poolSize",
    );
  }
  if (!app.reuse.includes(reuse as App["reuse"][number])) {
    fail("reuse", reuse, `which supports ${app.reuse.join(", ")}`);
  }
  const defaults = appDefaults(app);
  for (const key of Object.keys(defaults) as (keyof typeof defaults)[]) {
    if (app.settings[key]?.env !== undefined || values[key] === defaults[key]) continue;
    fail(key, values[key], `whose app.json has no variable for it; leave it at ${defaults[key]}`);
  }
}
