/** `deno task new-app`: a folder for an app of the reader's own, as a copy of one that works. */

import { Option } from "@commander-js/extra-typings";
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { appFolders } from "../apps/folders.ts";
import { UsageError } from "../errors.ts";
import { ROOT } from "../store/layout.ts";
import { shownPath } from "./cli.ts";
import { runTaskCommand, taskCommand } from "./options.ts";

/** Copies a file or folder, without what is made again where it is needed. */
function copy(from: string, to: string): void {
  const filter = (path: string) =>
    !["node_modules", "__pycache__", ".venv"].includes(basename(path));
  cpSync(from, to, { recursive: true, filter });
}

/** The folders that a new app can be copied from, by name; `blank` has no program yet. */
export function templates(): Record<string, string> {
  const apps = appFolders().filter(({ folder }) => dirname(folder) === join(ROOT, "apps"));
  return {
    ...Object.fromEntries(apps.map(({ name, folder }) => [name, folder])),
    blank: join(ROOT, "lib", "apps", "blank_app"),
  };
}

/**
 * Copies a template to a new app, which needs nothing outside of its folder; returns that folder.
 *
 * @param name The app's name, for a folder below `apps/`; or a path, whose last part is the name.
 */
export function createApp(name: string, from: string): string {
  const folder = name.includes("/") ? resolve(name) : join(ROOT, "apps", name);
  const app = basename(folder).replace(/_app$/, "");
  const fail = (what: string): never => {
    throw new UsageError(`Cannot create app "${name}": ${what}`);
  };
  if (!/^[a-z][a-z0-9_-]*$/.test(app)) {
    fail("its name must be of a-z, 0-9, _ and -, and begin with a letter");
  }
  if (appFolders().some((other) => other.name === app)) fail("there is an app of that name");
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    fail(`${shownPath(folder)} is not empty; choose another name, or remove it`);
  }
  const template = templates()[from]!;
  copy(template, folder);
  gatherFiles(template, folder, app);
  renameApp(folder, from, app);
  return folder;
}

/** Copies what the template's `app.json` names outside of its folder, and names the copies instead. */
function gatherFiles(template: string, folder: string, app: string): void {
  const file = join(folder, "app.json");
  const { context, contextFiles, ...definition } = JSON.parse(readFileSync(file, "utf8"));
  for (const key of ["routes", "schema", "seed"]) {
    const path = definition[key];
    if (typeof path !== "string" || !path.startsWith("../")) continue;
    definition[key] = basename(path);
    copy(join(template, path), join(folder, basename(path)));
  }
  // The image is then built of the app's folder alone.
  for (const path of (contextFiles ?? []) as string[]) {
    if (path !== basename(template)) copy(join(template, context, path), join(folder, path));
  }
  const dockerfile = join(folder, definition.dockerfile ?? "Dockerfile");
  if (existsSync(dockerfile)) {
    const name = basename(template);
    const text = readFileSync(dockerfile, "utf8");
    writeFileSync(dockerfile, text.replaceAll(`${name}/`, "").replaceAll(` ${name} `, " . "));
  }
  // Its packages are locked by itself from now on.
  if (definition.environment === "shared") delete definition.environment;
  delete definition.$schema;
  const $schema = relative(folder, join(ROOT, "docs", "app.schema.json"));
  writeFileSync(file, JSON.stringify({ $schema, ...definition, title: app }, null, 2) + "\n");
}

/** Changes what the app says that it is, in its answer to the health check. */
function renameApp(folder: string, from: string, app: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const text = readFileSync(path, "utf8");
    const renamed = text.replace(new RegExp(`(\\bapp"?: )"${from}"`), `$1"${app}"`);
    if (renamed !== text) writeFileSync(path, renamed);
  }
}

const command = taskCommand("new-app", "Makes a folder for an app of yours; see docs/your-app.md.")
  .argument("<name>", "its name, for a folder below apps/; or a path such as ../shop")
  .addOption(
    new Option("--from <app>", "the app that is copied").choices(Object.keys(templates()))
      .default("blank"),
  );

if (import.meta.main) {
  await runTaskCommand(command, ({ args: [name], options: { from } }) => {
    const folder = shownPath(createApp(name, from));
    console.log(`${folder} is a copy of the app ${from}; next: deno task doctor ${folder}`);
    return Promise.resolve();
  });
}
