/**
 * Folders that the service user can reach. A checkout under a home folder of mode 0700 is closed to
 * it: programs are then copied to, and data kept in, a folder of our own under /var/tmp.
 */

import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { ROOT } from "../store/layout.ts";
import { type ServiceUser, serviceUser } from "./user.ts";

/** The folder outside the checkout, of this checkout and our own user; it may not be there yet. */
export function stagingFolder(root: string = ROOT): string {
  const hash = createHash("sha256").update(Deno.realPathSync(root)).digest("hex").slice(0, 12);
  const parent = Deno.env.get("POOLSCOPE_STAGING") || "/var/tmp";
  return join(parent, `poolscope-${Deno.uid()}-${hash}`);
}

function permits(info: Deno.FileInfo, user: ServiceUser, bit: 1 | 4): boolean {
  const mode = info.mode ?? 0;
  if (info.uid === user.uid) return (mode & (bit << 6)) !== 0;
  if (info.gid === user.gid) return (mode & (bit << 3)) !== 0;
  return (mode & bit) !== 0;
}

/** Whether a path may be read, a folder also passed; whatever its parents permit. */
function isReadable(path: string, user: ServiceUser): boolean {
  const info = Deno.statSync(path);
  return permits(info, user, 4) && (!info.isDirectory || permits(info, user, 1));
}

/** A path's parent folders, from the root down. */
function parents(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [...parents(parent), parent];
}

/**
 * Whether a user can reach a path: every parent folder of it lets the user pass, and the path itself
 * may be read (a folder: also passed). Null is ourselves, who always can.
 */
export function isReachable(path: string, user: ServiceUser | null): boolean {
  if (user === null) return true;
  try {
    const real = Deno.realPathSync(path);
    // Both ways: the one written down, and the one behind its links.
    const folders = [...parents(path), ...parents(real)];
    return folders.every((folder) => permits(Deno.statSync(folder), user, 1)) &&
      isReadable(real, user);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Whether nobody but us and root can put something else in this path's place: each parent folder
 * is ours or root's, and writable by others only where the sticky bit protects what is in it.
 */
export function isOurs(path: string): boolean {
  return parents(path).every((folder) => {
    const { isDirectory, uid, mode } = Deno.lstatSync(folder);
    const shared = (mode! & 0o022) !== 0 && (mode! & 0o1000) === 0;
    return isDirectory && (uid === 0 || uid === Deno.uid()) && !shared;
  });
}

/** Makes a folder where there is nothing. Returns what is there then. */
function makeFolder(path: string, mode: number): Deno.FileInfo {
  try {
    Deno.mkdirSync(path, { mode });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  return Deno.lstatSync(path);
}

/** Makes a folder that others can only pass, or checks that the one there is ours alone. */
function claim(path: string): string {
  const parent = dirname(path);
  if (!existsSync(parent)) {
    throw new PoolscopeError(
      `Cannot make ${path}: ${parent} is not there; set POOLSCOPE_STAGING to a folder that every user can reach`,
    );
  }
  const { isDirectory, uid, mode } = makeFolder(path, 0o711);
  if (!isDirectory || uid !== Deno.uid() || (mode! & 0o022) !== 0) {
    throw new PoolscopeError(
      `Cannot use ${path}: it is not a folder of ours that only we can write to; remove it, or set POOLSCOPE_STAGING to another parent folder`,
    );
  }
  Deno.chmodSync(path, 0o711); // Whatever the umask says.
  return path;
}

/** Copies a folder's content; every user may read the copy, and only we can write to it. */
function copyOpen(from: string, to: string): void {
  cpSync(from, to, { recursive: true, verbatimSymlinks: true });
  for (const name of ["", ...readdirSync(to, { recursive: true })]) {
    const { isSymlink, mode } = Deno.lstatSync(join(to, String(name)));
    if (!isSymlink) Deno.chmodSync(join(to, String(name)), (mode! & 0o100) !== 0 ? 0o755 : 0o644);
  }
}

/**
 * Makes a folder of programs reachable for the service user: itself where it is, else a copy.
 *
 * @param name A name that changes whenever the content does, as in `postgres-16.14.0`.
 */
export function stageFolder(
  source: string,
  name: string,
  user: ServiceUser | null = serviceUser(),
  root: string = ROOT,
): string {
  if (user === null) return source;
  // One level of entries tells, as a strict umask closes them all.
  const isOpen = isReachable(source, user) && isOurs(source) &&
    [...Deno.readDirSync(source)].every((entry) => isReadable(join(source, entry.name), user));
  if (isOpen) return source;
  const staging = claim(stagingFolder(root));
  const target = join(staging, name);
  if (existsSync(target)) return target;
  const partial = Deno.makeTempDirSync({ dir: staging, prefix: `${name}.partial-` });
  try {
    copyOpen(source, partial);
    Deno.renameSync(partial, target);
  } catch (error) {
    Deno.removeSync(partial, { recursive: true });
    // Another process was faster.
    if (!isReachable(target, user)) throw error;
  }
  return target;
}

/**
 * A folder of mode 0700 for data of the service user: under the checkout's `.poolscope/` where that user
 * can get there and nobody else can interfere, else under /var/tmp.
 *
 * @param name The folder's name, or several joined by `/`.
 */
export function reachableFolder(
  name: string,
  user: ServiceUser | null = serviceUser(),
  root: string = ROOT,
): string {
  const tools = join(root, ".poolscope");
  Deno.mkdirSync(tools, { recursive: true });
  const isOpen = user === null || (isReachable(tools, user) && isOurs(join(tools, "x")));
  const base = isOpen ? tools : claim(stagingFolder(root));
  const folder = join(base, name);
  // Every folder on the way down is ours, so that nobody can swap it; the last one is the user's.
  for (const parent of parents(folder)) if (parent.startsWith(`${base}/`)) claim(parent);
  const { isDirectory, uid } = makeFolder(folder, 0o700);
  if (!isDirectory || ![Deno.uid(), user?.uid].includes(uid)) {
    throw new PoolscopeError(
      `Cannot use ${folder}: ${
        basename(folder)
      } belongs to somebody else or is no folder; remove it`,
    );
  }
  Deno.chmodSync(folder, 0o700);
  if (user !== null) Deno.chownSync(folder, user.uid, user.gid);
  return folder;
}
