/**
 * Where apps are: the folders below `apps/` with an `app.json`, and those of the reader's own that a
 * plan or an option names. Nothing is checked here, and no package is needed, so that the doctor can
 * look and the report of a study needs no app of it: whatever starts one reads it with `readApp`.
 *
 * @module
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../errors.ts";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** An app's folder. */
export interface AppFolder {
  /** The app's name in scenarios: the folder's, without `_app` at its end. */
  name: string;
  /** Its path. */
  folder: string;
}

/** The folders outside of the checkout's `apps/`, by name. */
const added = new Map<string, string>();
/** What a study knows of apps whose folders are not here any more, by folder. */
const recorded = new Map<string, Record<string, unknown>>();
const listed = new Map<string, AppFolder[]>();

function nameOf(folder: string): string {
  return basename(folder).replace(/_app$/, "");
}

function listApps(root: string): AppFolder[] {
  const apps = join(root, "apps");
  if (!existsSync(apps)) return [];
  return readdirSync(apps).sort().map((name) => join(apps, name))
    .filter((folder) => existsSync(join(folder, "app.json")))
    .map((folder) => ({ name: nameOf(folder), folder }));
}

/**
 * The apps that there are.
 *
 * @param root The checkout whose `apps/` are listed. @default this one
 * @returns Those of the checkout by name, then those that {@linkcode addAppFolder} was given.
 */
export function appFolders(root: string = CHECKOUT): AppFolder[] {
  let own = listed.get(root);
  if (own === undefined) listed.set(root, own = listApps(root));
  return [...own, ...[...added].map(([name, folder]) => ({ name, folder }))];
}

/**
 * Makes an app known whose folder is somewhere else.
 *
 * @param path The folder, or its `app.json`; from the checkout on, where it is no absolute path.
 * @param record What its `app.json` once said, which serves where the folder is gone. @default nothing
 * @returns Its name in scenarios.
 * @throws {UsageError} If there is no `app.json`, the folder's name is no name for an app, or another
 * app has it.
 */
export function addAppFolder(path: string, record?: Record<string, unknown>): string {
  const folder = resolve(CHECKOUT, path.replace(/\/app\.json$/, ""));
  const name = nameOf(folder);
  const fail = (what: string): never => {
    throw new UsageError(`Cannot use app "${path}": ${what}`);
  };
  if (!existsSync(join(folder, "app.json"))) {
    if (record === undefined) fail("there is no app.json in that folder");
    recorded.set(folder, record!);
  }
  if (!/^[a-z][a-z0-9_-]*$/.test(name)) {
    fail(`its name ${name} must be of a-z, 0-9, _ and -, and begin with a letter`);
  }
  const other = appFolders().find((app) => app.name === name && app.folder !== folder);
  if (other !== undefined) {
    fail(`${relative(CHECKOUT, other.folder)} has its name; rename the folder`);
  }
  if (!appFolders().some((app) => app.folder === folder)) added.set(name, folder);
  return name;
}

/**
 * Where an app is, as a plan keeps it.
 *
 * @returns The folder, from the checkout on; null for an app of the checkout's own `apps/`.
 */
export function foreignFolder(name: string): string | null {
  const folder = added.get(name);
  return folder === undefined ? null : relative(CHECKOUT, folder);
}

/** What a study has recorded of an app whose folder is gone; undefined of all others. */
export function recordOf({ folder }: AppFolder): Record<string, unknown> | undefined {
  return existsSync(join(folder, "app.json")) ? undefined : recorded.get(folder);
}

/** What an `app.json` says, unchecked; nothing where there is none or it cannot be read. */
export function describeFolder(app: AppFolder): Record<string, unknown> {
  const { folder } = app;
  const record = recordOf(app);
  if (record !== undefined) return record;
  try {
    return JSON.parse(readFileSync(join(folder, "app.json"), "utf8")) ?? {};
  } catch {
    return {};
  }
}

const descriptions = new Map<string, Record<string, unknown>>();

function text(app: string, key: "title" | "stack"): string | null {
  let found = descriptions.get(app);
  if (found === undefined) {
    const folder = appFolders().find(({ name }) => name === app);
    if (folder === undefined) return null;
    descriptions.set(app, found = describeFolder(folder));
  }
  const value = found[key];
  return typeof value === "string" && value !== "" ? value : null;
}

/**
 * The title of an app.
 *
 * @param app Its name in scenarios.
 * @returns The `title` of its `app.json`; its name where there is none.
 *
 * @example
 * ```ts
 * import { appTitle } from "./folders.ts";
 *
 * console.assert(appTitle("node") === "Node.js" && appTitle("unknown") === "unknown");
 * ```
 */
export function appTitle(app: string): string {
  return text(app, "title") ?? app;
}

/**
 * Driver, ORM and server of an app, in one line.
 *
 * @param app Its name in scenarios.
 * @returns The `stack` of its `app.json`; null where there is none.
 */
export function appStack(app: string): string | null {
  return text(app, "stack");
}
