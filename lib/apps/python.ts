/** Apps of Python: a virtual environment from a lock of pip's; they run where they are. */

import { join } from "node:path";
import type { Runtime } from "./runtime.ts";

export const PYTHON: Runtime = {
  needs: () => [],
  async prepare(app, workshop) {
    const { folder, versions } = await workshop.environment(app);
    return {
      folder: app.build.length === 0 ? app.folder : await workshop.build(app, app.build),
      programs: [join(folder, "bin")],
      versions,
    };
  },
};
