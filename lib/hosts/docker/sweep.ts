/**
 * Labels of what Poolscope makes on a Docker daemon, and the sweep that removes what an owner left
 * there that no longer runs. No npm package is imported here: the keeper runs without any.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { type Owner, ownerState } from "../../store/owner.ts";
import { askDocker, type Daemon } from "./daemon.ts";

/** Marks every object of ours on a daemon. */
const PROJECT_LABEL = "org.poolscope.project";
const PROJECT = "poolscope";
/** Who made it: an {@linkcode Owner} with the id of its list, as JSON. */
export const OWNER_LABEL = "org.poolscope.owner";

/** The labels of an object; one that serves a run has the run's folder in the study. */
export function objectLabels(owner: Owner, id: string, study: string, run = "") {
  return {
    [PROJECT_LABEL]: PROJECT,
    "org.poolscope.study": study,
    "org.poolscope.run": run,
    [OWNER_LABEL]: JSON.stringify({ ...owner, id }),
  };
}

/** An object on a daemon. */
interface Found {
  kind: (typeof KINDS)[number];
  /** What the daemon deletes it by. */
  id: string;
  owner: Owner & { id: string };
}

/** In the order in which they can be removed. */
const KINDS = ["container", "network", "volume"] as const;

/** Everything of ours on a daemon, whoever owns it. */
export async function findObjects(host: Daemon): Promise<Found[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`${PROJECT_LABEL}=${PROJECT}`] }));
  type Listed = { Id?: string; Name?: string; Labels: Record<string, string> | null };
  const found = await Promise.all(KINDS.map(async (kind) => {
    const path = `/${kind}s${kind === "container" ? "/json?all=1&" : "?"}filters=${filters}`;
    const { status, text } = await askDocker(host, "GET", path);
    if (status !== 200) throw new Error(`Docker answers ${path} with status ${status}`);
    const answer = JSON.parse(text);
    const objects: Listed[] = kind === "volume" ? answer.Volumes ?? [] : answer;
    return objects.flatMap(({ Id, Name, Labels }): Found[] => {
      try {
        const owner = JSON.parse(Labels?.[OWNER_LABEL] ?? "");
        return [{ kind, id: (kind === "volume" ? Name : Id)!, owner }];
      } catch {
        return []; // Without an owner that can be read it is nobody's to remove.
      }
    });
  }));
  return found.flat();
}

/** The daemon may still be making what its dead client had asked for. */
const LOOKS = 5;
const PAUSE_MS = 300;

/**
 * Removes containers, networks and volumes whose owner no longer runs, and nothing else.
 *
 * @param ownerId Only those of this list. @default those of every dead owner
 * @returns One line when anything was removed.
 * @throws {Error} If the daemon does not answer.
 */
export async function sweepDocker(host: Daemon, ownerId?: string): Promise<string[]> {
  const removed = new Map<string, Found["kind"]>();
  for (let look = 0; look < LOOKS; look++) {
    const dead = (await findObjects(host)).filter(({ owner }) =>
      (ownerId === undefined || owner.id === ownerId) && ownerState(owner) === "gone"
    );
    // A start finds what is left; only who sweeps right after a death must look twice.
    if (dead.length === 0 && (ownerId === undefined || look > 1)) break;
    for (const kind of KINDS) {
      const objects = dead.filter((object) => object.kind === kind);
      await Promise.all(objects.map(async ({ id }) => {
        const query = kind === "container" ? "?force=1&v=1" : kind === "volume" ? "?force=1" : "";
        const { status } = await askDocker(host, "DELETE", `/${kind}s/${id}${query}`, 30);
        if (status === 204) removed.set(id, kind);
      }));
    }
    await sleep(PAUSE_MS);
  }
  if (removed.size === 0) return [];
  const counts = KINDS.flatMap((kind) => {
    const n = [...removed.values()].filter((other) => other === kind).length;
    return n === 0 ? [] : [`${n} ${kind}${n === 1 ? "" : "s"}`];
  });
  return [`Removed ${counts.join(" and ")} that an earlier start left on Docker`];
}
