/**
 * Folders that the service user can reach. A checkout under a home folder of mode 0700 is closed to
 * it: programs are then copied to, and data kept in, a folder of our own under /var/tmp.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { basename, dirname, join, relative } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { ROOT, TOOLS } from "../store/layout.ts";
import { type ServiceUser, serviceUser } from "./user.ts";

/**
 * The folder outside the checkout for what the service user must reach: its name is derived from the
 * checkout's path and our own user. Not created here; `deno task clean` removes it.
 */
export function stagingFolder(root: string = ROOT): string {
  const hash = createHash("sha256").update(Deno.realPathSync(root)).digest("hex").slice(0, 12);
  const parent = Deno.env.get("POOLSCOPE_STAGING") || "/var/tmp";
  return join(parent, `poolscope-${Deno.uid()}-${hash}`);
}

function permits(info: Deno.FileInfo, user: ServiceUser, bit: 1 | 2 | 4): boolean {
  const mode = info.mode ?? 0;
  if (info.uid === user.uid) return (mode & (bit << 6)) !== 0;
  if (info.gid === user.gid) return (mode & (bit << 3)) !== 0;
  return (mode & bit) !== 0;
}

/** A path's parent folders, from the root down. */
function parents(path: string): string[] {
  const folders: string[] = [];
  for (let at = dirname(path);; at = dirname(at)) {
    folders.unshift(at);
    if (at === dirname(at)) return folders;
  }
}

/**
 * Whether a user can reach a path: every parent folder of it lets the user pass, and the path itself
 * may be read (a folder: also passed). A path that does not exist cannot be reached.
 *
 * @param path An absolute path.
 * @param user The user; null is ourselves, who always can.
 */
export function isReachable(path: string, user: ServiceUser | null): boolean {
  if (user === null) return true;
  try {
    const real = Deno.realPathSync(path);
    // Both ways: the one written down, and the one behind its links.
    for (const folder of new Set([...parents(path), ...parents(real)])) {
      if (!permits(Deno.statSync(folder), user, 1)) return false;
    }
    const info = Deno.statSync(real);
    return permits(info, user, 4) && (!info.isDirectory || permits(info, user, 1));
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
  const us = Deno.uid();
  return parents(path).every((folder) => {
    const info = Deno.lstatSync(folder);
    const mode = info.mode ?? 0;
    const shared = (mode & 0o022) !== 0 && (mode & 0o1000) === 0;
    return info.isDirectory && (info.uid === 0 || info.uid === us) && !shared;
  });
}

/** Makes a folder, or checks that the one there is ours alone. */
function claim(path: string, mode: number): void {
  try {
    Deno.mkdirSync(path, { mode });
    Deno.chmodSync(path, mode); // Whatever the umask says.
    return;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new PoolscopeError(
        `Cannot make ${path}: ${
          dirname(path)
        } is not there; set POOLSCOPE_STAGING to a folder that every user can reach`,
        { cause: error },
      );
    }
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const info = Deno.lstatSync(path);
  if (!info.isDirectory || info.uid !== Deno.uid() || ((info.mode ?? 0) & 0o022) !== 0) {
    throw new PoolscopeError(
      `Cannot use ${path}: it is not a folder of ours that only we can write to; remove it, or set POOLSCOPE_STAGING to another parent folder`,
    );
  }
  Deno.chmodSync(path, mode);
}

/** Makes the staging folder, or checks it. */
function openStaging(root: string): string {
  const folder = stagingFolder(root);
  claim(folder, 0o711);
  return folder;
}

/** Copies a folder; every user may read the copy, and only we can write to it. */
function copyOpen(from: string, to: string): void {
  Deno.mkdirSync(to);
  Deno.chmodSync(to, 0o755);
  for (const entry of Deno.readDirSync(from)) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isSymlink) {
      Deno.symlinkSync(Deno.readLinkSync(source), target);
    } else if (entry.isDirectory) {
      copyOpen(source, target);
    } else if (entry.isFile) {
      Deno.copyFileSync(source, target);
      Deno.chmodSync(target, ((Deno.statSync(source).mode ?? 0) & 0o100) !== 0 ? 0o755 : 0o644);
    }
  }
}

/**
 * Makes a folder of programs reachable for the service user: itself where it is, else a copy.
 *
 * @param source The folder; links in it are relative.
 * @param name A name that changes whenever the content does, as in `postgres-16.14.0`.
 * @param user Whoever must reach it.
 * @param root The checkout.
 * @returns The folder to use.
 */
export function stageFolder(
  source: string,
  name: string,
  user: ServiceUser | null = serviceUser(),
  root: string = ROOT,
): string {
  if (user === null) return source;
  if (isReachable(source, user) && isOurs(source) && everyEntryReadable(source, user)) {
    return source;
  }
  const staging = openStaging(root);
  const target = join(staging, name);
  try {
    if (Deno.lstatSync(target).isDirectory) return target;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const partial = join(staging, `${name}.partial-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`);
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

/** Whether a folder's own entries may be read; one level tells, as a strict umask closes them all. */
function everyEntryReadable(folder: string, user: ServiceUser): boolean {
  for (const entry of Deno.readDirSync(folder)) {
    const path = join(folder, entry.name);
    if (!permits(Deno.statSync(path), user, 4)) return false;
    if (entry.isDirectory && !permits(Deno.statSync(path), user, 1)) return false;
  }
  return true;
}

/**
 * A folder for data that the service user owns and nobody else can read: under the checkout's
 * `.poolscope/` where that user can get there and nobody else can interfere, else under /var/tmp.
 *
 * @param name The folder's name, or several joined by `/`.
 * @param user Whoever owns it; null is ourselves.
 * @param root The checkout.
 * @returns Its path; it exists and has mode 0700.
 *
 * @example
 * ```ts
 * import { reachableFolder } from "./stage.ts";
 *
 * const folder = reachableFolder("example");
 * console.assert((Deno.statSync(folder).mode! & 0o777) === 0o700);
 * Deno.removeSync(folder);
 * ```
 */
export function reachableFolder(
  name: string,
  user: ServiceUser | null = serviceUser(),
  root: string = ROOT,
): string {
  const tools = root === ROOT ? TOOLS : join(root, ".poolscope");
  const inside = join(tools, name);
  Deno.mkdirSync(tools, { recursive: true });
  let folder = inside;
  let base = tools;
  if (user !== null && !(isReachable(tools, user) && isOurs(join(tools, "x")))) {
    base = openStaging(root);
    folder = join(base, name);
  }
  // Every folder on the way down is ours, so that nobody can swap it; the last one is the user's.
  let at = base;
  for (const part of relative(base, dirname(folder)).split("/").filter(Boolean)) {
    at = join(at, part);
    claim(at, 0o711);
  }
  try {
    const info = Deno.lstatSync(folder);
    const owners = [Deno.uid(), user?.uid ?? Deno.uid()];
    if (!info.isDirectory || !owners.includes(info.uid ?? -1)) {
      throw new PoolscopeError(
        `Cannot use ${folder}: ${
          basename(folder)
        } belongs to somebody else or is no folder; remove it`,
      );
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    Deno.mkdirSync(folder, { mode: 0o700 });
  }
  Deno.chmodSync(folder, 0o700);
  if (user !== null) Deno.chownSync(folder, user.uid, user.gid);
  return folder;
}
