/**
 * A third kind of host: processes in namespaces of their own, as containers without a daemon. It shows
 * what another kind costs.
 */

import type { InstanceOptions } from "../../hosts/host.ts";
import type { LocalPlace } from "../../hosts/local/instance.ts";
import { LocalHost } from "../../hosts/local/local_host.ts";

/** Mounts, names and shared memory of its own. */
export const UNSHARE = ["unshare", "--mount", "--uts", "--ipc", "--"] as const;

/** Services as processes, each with its own view of mounts, names and shared memory. */
export class NamespaceHost extends LocalHost {
  override readonly kind = "namespaces";

  protected override makePlace(options: InstanceOptions): LocalPlace {
    return { ...super.makePlace(options), wrap: UNSHARE };
  }
}
