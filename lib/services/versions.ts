/** Which packages' versions a manifest carries: those that the apps and Locust name themselves. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { appFolders, describeFolder } from "../apps/folders.ts";
import { normaliseName } from "../setup/python.ts";
import { ROOT } from "../store/layout.ts";

/** The packages that Locust and the apps of its environment ask for by name. */
export function directDependencies(): string[] {
  const shared = appFolders().filter((app) => describeFolder(app).environment === "shared");
  return [...shared.map(({ folder }) => folder), join(ROOT, "locust")].flatMap((folder) =>
    [...readFileSync(join(folder, "requirements.in"), "utf8").matchAll(/^([\w.-]+)/gm)]
      .map((match) => normaliseName(match[1]!))
  );
}
