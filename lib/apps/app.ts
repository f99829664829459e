/**
 * An app: a folder with `app.json`, which says how it is started, what it can be told and what it answers.
 * The one description goes to both engines, to the load and to the report.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { UsageError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { BOTTLENECKS } from "../bottlenecks.ts";
import { REUSES, settingOf } from "../settings.ts";
import { addAppFolder, appFolders, describeFolder, foreignApp, showPath } from "./folders.ts";
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

/** Whether all that a text has in braces passes a check. */
function everyPart(text: string, isKnown: (part: string) => boolean): boolean {
  return [...text.matchAll(/\{(\w*)\}/g)].every(([, part]) => isKnown(part!));
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}

/** The settings of a scenario that an app may be told. */
const TOLD = z.strictObject({
  workers: setting(COUNT),
  threads: setting(COUNT),
  poolSize: setting(COUNT),
  reuse: setting(REUSE),
  preparedStatements: setting(z.boolean()),
  livenessCheck: setting(z.boolean()),
  listenBacklog: setting(COUNT),
  appDelayMs: setting(z.number()),
  appCpuMs: setting(z.number()),
  holdMs: setting(z.number()),
}).partial();

/** One of the settings of a scenario that an app may be told. */
export type AppKey = keyof z.infer<typeof TOLD>;

export const APP_KEYS = Object.keys(TOLD.shape) as AppKey[];

/** What an `app.json` may hold; `$schema` is an editor's own, which finds the schema by it. */
const APP = z.strictObject({
  $schema: z.string().optional(),
  title: TEXT.describe("The name that people read."),
  stack: TEXT.describe("Framework, driver and server, in one line."),
  runtime: z.enum(["python", "node", "command", "image"]).describe(
    "How it is installed and started; `command` is a program of any language, `image` runs in Docker only.",
  ),
  concurrency: z.enum(["threads", "event_loop"]).describe(
    "`threads`: a request holds a thread of a worker; `event_loop`: a worker has many requests in flight.",
  ),
  command: z.array(TEXT).min(1).optional().describe(
    "Program and arguments, run in the app's folder (built apps: in a copy of it), the same for every scenario.",
  ),
  build: z.array(z.array(TEXT).min(1)).default([]).describe(
    "Commands that build it, run in a copy of the folder whenever a file of it has changed.",
  ),
  version: z.array(TEXT).min(1).optional().describe(
    "A command whose first line is kept as the version of what built or runs it.",
  ),
  lock: TEXT.optional().describe(
    "The pinned packages: a requirements file for `python`, package-lock.json for `node`.",
  ),
  environment: z.enum(["own", "shared"]).default("own").describe(
    "Whether a `python` app has a virtual environment of its own.",
  ),
  dockerfile: TEXT.optional().describe("Builds its image for Docker."),
  context: TEXT.default(".").describe("The build context of the Dockerfile."),
  contextFiles: z.array(TEXT).optional().describe(
    "What of the context is sent; everything by default.",
  ),
  image: TEXT.optional().describe("An image instead of a Dockerfile."),
  containerPort: z.int().min(1).max(65_535).default(8000).describe(
    "The port on which it listens in its container.",
  ),
  healthPath: z.string().regex(/^\//, "must begin with /").describe(
    "Answers 2xx without the database as soon as the app can serve.",
  ),
  reuse: z.array(REUSE).min(1).describe(
    "The ways in which it can keep connections; the first is the default.",
  ),
  settings: TOLD.extend({
    host: VARIABLE.default({ env: "HOST" }),
    port: VARIABLE.default({ env: "PORT" }),
    nonce: VARIABLE.optional(),
    timings: VARIABLE.optional(),
  }).describe(
    "The environment variable of each setting that it can be told, and its default; without `env`, what it always is.",
  ),
  databaseUrl: z.strictObject({
    env: TEXT,
    template: TEXT.refine(
      (text) => everyPart(text, (part) => URL_PARTS.includes(part)),
      `may have {${URL_PARTS.join("}, {")}}`,
    ),
  }).optional().describe("A variable for the database's URL, and what the URL is made of."),
  logs: z.array(z.strictObject({
    pattern: z.string().refine(isPattern, "must be a regular expression"),
    cause: TEXT,
    fatal: z.boolean().default(false),
  })).default([]).describe(
    "Patterns of its log with the cause that they tell; `fatal` fails the run.",
  ),
  advice: z.partialRecord(
    z.enum(BOTTLENECKS),
    TEXT.refine(
      (text) => everyPart(text, (part) => part === "" || settingOf(part) !== undefined),
      "may have settings in braces, as in {threads}",
    ),
  ).default({}).describe(
    "What to do about a bottleneck, by its name; a setting in braces stands for its relieved value.",
  ),
  routes: z.union([TEXT, ROUTES], "must be the name of a file, or a list of routes").describe(
    "The requests of the load, or the name of a file with them.",
  ),
  locustfile: TEXT.optional().describe(
    "A locustfile whose user classes are the load instead, in a closed loop.",
  ),
  schema: TEXT.describe("The tables: plain SQL, or a plain dump."),
  seed: TEXT.optional().describe("The rows: plain SQL, or a plain dump."),
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

export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** The JSON Schema of `app.json`, by which an editor completes and checks it. */
export function appSchema(): JsonSchema {
  return { title: "An app of Poolscope", ...z.toJSONSchema(APP, { io: "input" }) };
}

/** An app, checked. */
export interface App extends Omit<z.infer<typeof APP>, "routes" | "$schema"> {
  name: string;
  folder: string;
  /** The file of its routes; `app.json` where they stand there. */
  routesFile: string;
  /** What it answers, and the work of it. */
  contract: Contract;
}

/** Checks the text of an `app.json`, and reads its file of routes where it names one. */
export function parseApp(
  text: string,
  file: string,
  { name, folder }: Pick<App, "name" | "folder">,
): App {
  const { routes, $schema: _, ...app } = parseJson(APP, text, file);
  const routesFile = join(folder, typeof routes === "string" ? routes : "app.json");
  const contract = typeof routes === "string"
    ? parseJson(CONTRACT, readText(routesFile), showPath(routesFile))
    : { routes, cases: [] };
  return { ...app, name, folder, routesFile, contract };
}

function readText(
  file: string,
  explain = (code?: string) => `Cannot read ${showPath(file)}: ${code}; restore the file`,
): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(explain((error as NodeJS.ErrnoException).code), { cause: error });
  }
}

/** The text of an app's own locustfile; nothing where it has none. */
export function readLocustfile({ folder, locustfile }: App): string | undefined {
  return locustfile === undefined ? undefined : readText(join(folder, locustfile));
}

/** The SQL that makes an app's tables, and that of its rows; `file` is how messages call it. */
export type AppData = Record<"schema" | "seed", { file: string; text: string }>;

/** Reads the SQL files of an app; empty where it has none. */
export function readData(app: App): AppData {
  const read = (key: keyof AppData) => {
    const file = app[key];
    if (file === undefined) return { file: "", text: "" };
    const explain = (code?: string) =>
      `Cannot read the ${key} of ${app.name}: ${file} (${code}); correct "${key}" in its app.json`;
    return { file, text: readText(join(app.folder, file), explain) };
  };
  return { schema: read("schema"), seed: read("seed") };
}

const known = new Map<string, App>();

/** Reads an app by its name, from this checkout or another. */
export function readApp(name: string, root?: string): App {
  const kept = root === undefined ? known.get(name) : undefined;
  if (kept !== undefined) return kept;
  const places = appFolders(root);
  const place = places.find((app) => app.name === name);
  if (place === undefined) {
    const names = places.map((app) => app.name).join(", ");
    throw new UsageError(`Cannot use app "${name}": the apps are ${names}`);
  }
  const file = join(place.folder, "app.json");
  const isGone = place.record !== undefined && !existsSync(file);
  const text = isGone ? JSON.stringify(place.record) : readText(file);
  const app = parseApp(text, showPath(file), place);
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
  const place = foreignApp(name);
  if (place === undefined) return null;
  const description = { ...describeFolder(place), routes: readApp(name).contract.routes };
  return { folder: showPath(place.folder), description };
}

/** Makes an app of a plan known, from a path or from a record of it. */
export function addRecordedApp(app: string | AppRecord): void {
  if (typeof app === "string") addAppFolder(app);
  else addAppFolder(app.folder, app.description);
}

/** What a scenario of an app has where it says nothing itself. */
export function appDefaults({ settings, reuse }: App) {
  return {
    workers: settings.workers?.default ?? 1,
    threads: settings.threads?.default ?? 1,
    poolSize: settings.poolSize?.default ?? 1,
    preparedStatements: settings.preparedStatements?.default ?? true,
    livenessCheck: settings.livenessCheck?.default ?? false,
    appDelayMs: settings.appDelayMs?.default ?? 0,
    appCpuMs: settings.appCpuMs?.default ?? 0,
    holdMs: settings.holdMs?.default ?? 0,
    reuse: settings.reuse?.default ?? reuse[0]!,
  };
}

/** Refuses a setting that the app cannot be given. */
export function checkAppSettings(app: App, values: Record<AppKey, unknown>): void {
  const fail = (key: AppKey, why: string): never => {
    const value = JSON.stringify(values[key]);
    throw new UsageError(`Cannot build scenario: ${key} is ${value} for ${app.title}, ${why}`);
  };
  if (app.concurrency === "event_loop" && values.threads !== 1) {
    fail("threads", "whose workers run an event loop; leave it at 1 and set workers or poolSize");
  }
  if (!app.reuse.some((reuse) => reuse === values.reuse)) {
    fail("reuse", `which supports ${app.reuse.join(", ")}`);
  }
  for (const [name, preset] of Object.entries(appDefaults(app))) {
    const key = name as AppKey;
    if (app.settings[key]?.env !== undefined || values[key] === preset) continue;
    fail(key, `whose app.json has no variable for it; leave it at ${preset}`);
  }
}
