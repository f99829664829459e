/** Apps of any other language: a program that is there, or that a build makes. */

import type { Runtime } from "./runtime.ts";

export const COMMAND: Runtime = {
  needs: ({ build, command }) => {
    const programs = new Set([...build, command!].map(([program]) => program!));
    return [...programs].filter((program) => program !== "sh" && !program.includes("/"));
  },
  async prepare(app, workshop) {
    const folder = app.build.length === 0 ? app.folder : await workshop.build(app, app.build);
    const versions = app.version && { [app.version[0]!]: await workshop.ask(app, app.version) };
    return { folder, programs: [], versions: versions ?? {} };
  },
};
