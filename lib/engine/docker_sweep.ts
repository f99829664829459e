/**
 * Labels of what Poolscope makes on a Docker daemon, and the sweep that removes what an owner left
 * there that no longer runs. No npm package is imported here: the keeper runs without any.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { type Owner, ownerState } from "../store/owner.ts";
import { askDocker, type DockerHost } from "./docker_host.ts";

const PREFIX = "org.poolscope";
/** Marks every object of ours on a daemon. */
export const PROJECT_LABEL = `${PREFIX}.project`;
/** The study that an object serves. */
export const STUDY_LABEL = `${PREFIX}.study`;
/** The run that it serves, by its folder in the study; empty when it serves all. */
export const RUN_LABEL = `${PREFIX}.run`;
/** Who made it: an {@linkcode Owner} with the id of its list, as JSON. */
export const OWNER_LABEL = `${PREFIX}.owner`;
/** The value of {@linkcode PROJECT_LABEL}. */
export const PROJECT = "poolscope";

/** The labels of an object. */
export function objectLabels(
  owner: Owner,
  id: string,
  study: string,
  run = "",
): Record<string, string> {
  return {
    [PROJECT_LABEL]: PROJECT,
    [STUDY_LABEL]: study,
    [RUN_LABEL]: run,
    [OWNER_LABEL]: JSON.stringify({ ...owner, id }),
  };
}

/** An object on a daemon. */
interface Found {
  kind: "container" | "network" | "volume";
  /** What the daemon deletes it by. */
  id: string;
  owner: Owner & { id: string };
}

/** Everything of ours on a daemon, whoever owns it. */
export async function findObjects(host: DockerHost): Promise<Found[]> {
  const filters = encodeURIComponent(
    JSON.stringify({ label: [`${PROJECT_LABEL}=${PROJECT}`] }),
  );
  const list = async (path: string): Promise<unknown> => {
    const { status, text } = await askDocker(host, "GET", path);
    if (status !== 200) throw new Error(`Docker answers ${path} with status ${status}`);
    return JSON.parse(text);
  };
  type Listed = { Id?: string; Name?: string; Labels: Record<string, string> | null };
  const [containers, networks, volumes] = await Promise.all([
    list(`/containers/json?all=1&filters=${filters}`) as Promise<Listed[]>,
    list(`/networks?filters=${filters}`) as Promise<Listed[]>,
    list(`/volumes?filters=${filters}`) as Promise<{ Volumes: Listed[] | null }>,
  ]);
  const read = (kind: Found["kind"], objects: Listed[]): Found[] =>
    objects.flatMap(({ Id, Name, Labels }) => {
      try {
        const owner = JSON.parse(Labels?.[OWNER_LABEL] ?? "");
        return [{ kind, id: (kind === "volume" ? Name : Id)!, owner }];
      } catch {
        return []; // Without an owner that can be read it is nobody's to remove.
      }
    });
  return [
    ...read("container", containers),
    ...read("network", networks),
    ...read("volume", volumes.Volumes ?? []),
  ];
}

/** The daemon may still be making what its dead client had asked for. */
const LOOKS = 5;
const PAUSE_MS = 300;

/**
 * Removes containers, networks and volumes whose owner no longer runs, and nothing else.
 *
 * @param host The daemon.
 * @param ownerId Only those of this list. @default those of every dead owner
 * @returns One line when anything was removed.
 * @throws {Error} If the daemon does not answer.
 */
export async function sweepDocker(host: DockerHost, ownerId?: string): Promise<string[]> {
  const removed = new Map<string, Found["kind"]>();
  for (let look = 0; look < LOOKS; look++) {
    const dead = (await findObjects(host)).filter(({ owner }) =>
      (ownerId === undefined || owner.id === ownerId) && ownerState(owner) === "gone"
    );
    // A start finds what is left; only who sweeps right after a death must look twice.
    if (dead.length === 0 && (ownerId === undefined || look > 1)) break;
    for (const kind of ["container", "network", "volume"] as const) {
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
  const count = (kind: Found["kind"]) => {
    const n = [...removed.values()].filter((other) => other === kind).length;
    return n === 0 ? [] : [`${n} ${kind}${n === 1 ? "" : "s"}`];
  };
  const what = [...count("container"), ...count("network"), ...count("volume")].join(" and ");
  return [`Removed ${what} that an earlier start left on Docker`];
}
