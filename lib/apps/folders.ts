/**
 * Where apps are: the folders below `apps/` with an `app.json`, and those of the reader's own that a
 * plan or an option names. Nothing is checked here, and no package is needed, so that the doctor can
 * look and the report of a study needs no app of it: whatever starts one reads it with `readApp`.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../errors.ts";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

export interface AppFolder {
  /** The app's name in scenarios: the folder's, without `_app` at its end. */
  name: string;
  folder: string;
  /** What a study has recorded of its `app.json`, which serves where the folder is gone. */
  record?: Record<string, unknown>;
}

/** The apps outside of the checkout's `apps/`. */
const added: AppFolder[] = [];
/** The apps of `apps/`, by checkout. */
const listed = new Map<string, AppFolder[]>();
/** What the `app.json` of each app says. */
const descriptions = new Map<string, Record<string, unknown>>();

function nameOf(folder: string): string {
  return basename(folder).replace(/_app$/, "");
}

function hasApp(folder: string): boolean {
  return existsSync(join(folder, "app.json"));
}

/** A path as messages show it: from the checkout on. */
export function showPath(path: string): string {
  return relative(CHECKOUT, path);
}

/** The apps of a checkout by name, then those that {@linkcode addAppFolder} was given. */
export function appFolders(root: string = CHECKOUT): AppFolder[] {
  let own = listed.get(root);
  if (own === undefined) {
    const apps = join(root, "apps");
    own = (existsSync(apps) ? readdirSync(apps).sort() : []).map((name) => join(apps, name))
      .filter(hasApp).map((folder) => ({ name: nameOf(folder), folder }));
    listed.set(root, own);
  }
  return [...own, ...added];
}

/**
 * Makes an app known whose folder is somewhere else, and returns its name.
 *
 * @param path The folder, or its `app.json`; from the checkout on, where it is no absolute path.
 * @param record What its `app.json` once said, which serves where the folder is gone. @default nothing
 */
export function addAppFolder(path: string, record?: Record<string, unknown>): string {
  const folder = resolve(CHECKOUT, path.replace(/\/app\.json$/, ""));
  const name = nameOf(folder);
  const fail = (what: string): never => {
    throw new UsageError(`Cannot use app "${path}": ${what}`);
  };
  if (!hasApp(folder) && record === undefined) fail("there is no app.json in that folder");
  if (!/^[a-z][a-z0-9_-]*$/.test(name)) {
    fail(`its name ${name} must be of a-z, 0-9, _ and -, and begin with a letter`);
  }
  const known = appFolders().find((app) => app.name === name);
  if (known !== undefined && known.folder !== folder) {
    fail(`${showPath(known.folder)} has its name; rename the folder`);
  }
  if (known === undefined) added.push({ name, folder, record });
  else known.record ??= record;
  return name;
}

/** An app whose folder is not in the checkout's own `apps/`; undefined of all others. */
export function foreignApp(name: string): AppFolder | undefined {
  return added.find((app) => app.name === name);
}

/** What an `app.json` says, unchecked; nothing where there is none or it cannot be read. */
export function describeFolder({ folder, record = {} }: AppFolder): Record<string, unknown> {
  if (!hasApp(folder)) return record;
  try {
    return JSON.parse(readFileSync(join(folder, "app.json"), "utf8")) ?? {};
  } catch {
    return {};
  }
}

function textOf(app: string, key: "title" | "stack"): string | null {
  const place = appFolders().find(({ name }) => name === app);
  if (place !== undefined && !descriptions.has(app)) descriptions.set(app, describeFolder(place));
  const value = descriptions.get(app)?.[key];
  return typeof value === "string" && value !== "" ? value : null;
}

/** The title of an app by its name in scenarios; the name where its `app.json` says none. */
export function appTitle(app: string): string {
  return textOf(app, "title") ?? app;
}

/** Driver, ORM and server of an app, in one line; null where its `app.json` says nothing. */
export function appStack(app: string): string | null {
  return textOf(app, "stack");
}
