/** Apps that come as a container's image, which only Docker can run. */

import { PoolscopeError } from "../errors.ts";
import type { Runtime } from "./runtime.ts";

export const IMAGE: Runtime = {
  needs: () => [],
  prepare: (app) =>
    Promise.reject(
      new PoolscopeError(
        `Cannot run ${app.title} on the local engine: it comes as an image; use --engine docker`,
      ),
    ),
};
