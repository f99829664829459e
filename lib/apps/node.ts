/** Apps of Node.js: `npm ci` in a copy, which leaves the reader's own node_modules alone. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { App } from "./app.ts";
import type { Runtime } from "./runtime.ts";

export const NODE: Runtime = {
  needs: () => ["node", "npm"],
  async prepare(app, workshop) {
    // What only a build needs is left out where there is none.
    const omit = app.build.length === 0 ? ["--omit=dev"] : [];
    const install = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", ...omit];
    const folder = await workshop.build(app, [install, ...app.build]);
    const node = await workshop.ask(app, ["node", "--version"]);
    return {
      folder,
      programs: [join(folder, "node_modules", ".bin")],
      versions: { node: node.replace(/^v/, ""), ...directVersions(app) },
    };
  },
};

/** The versions of the packages that the app itself asks for, by its lock. */
function directVersions({ folder, lock }: App): Record<string, string> {
  const { packages = {} } = JSON.parse(readFileSync(join(folder, lock!), "utf8")) as {
    packages?: Record<string, { version?: string; dependencies?: Record<string, string> }>;
  };
  const names = Object.keys(packages[""]?.dependencies ?? {});
  return Object.fromEntries(
    names.map((name) => [name, packages[`node_modules/${name}`]?.version ?? "unknown"]),
  );
}
