/**
 * Apps of any other language: a program that is there, or that a build makes.
 *
 * @module
 */

import type { Runtime } from "./runtime.ts";

/** The runtime `command`. */
export const COMMAND: Runtime = {
  needs: (app) =>
    [
      ...new Set([...app.build, app.command!].map(([program]) => program!))
        .difference(new Set(["sh"])),
    ].filter((program) => !program.includes("/")),
  async prepare(app, workshop) {
    const folder = app.build.length === 0 ? app.folder : await workshop.build(app, app.build);
    const versions = app.version === undefined
      ? {}
      : { [app.version[0]!]: await workshop.ask(app, app.version) };
    return { folder, programs: [], versions };
  },
};
