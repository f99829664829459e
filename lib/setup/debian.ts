/**
 * Programs of Debian 13, or of its next release, on any Debian or Ubuntu: packages, verified by
 * Debian's keys and unpacked into a folder, without root and without installing anything.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { createPrivateApt, debianKeyrings, debianMirrors, readAptSources } from "./apt.ts";
import { findOnPath, lastLine, redact, runCommand, tryCommand } from "./command.ts";

/** Debian's releases that are unpacked, by their names on its mirrors. */
export const SUITES = { trixie: "Debian 13", testing: "Debian testing" } as const;

/** One of {@linkcode SUITES}. */
export type Suite = keyof typeof SUITES;

/** How to say that it cannot be had: the caller adds what for, and what to do instead. */
export type Refuse = (what: string) => Error;

/** A place that has a release of Debian. */
export interface DebianSource {
  /** Its address, without credentials. */
  uri: string;
  /** The same in apt's newer format, whole. */
  text: string;
}

/** Where a release may be had, as text for apt. */
async function describeSources(refuse: Refuse, suite: Suite): Promise<DebianSource[]> {
  const chosen = Deno.env.get("POOLSCOPE_DEBIAN_MIRROR");
  const mirrors = chosen
    ? [{ uri: chosen, suites: [], signedBy: [], trusted: false }]
    : debianMirrors(await readAptSources());
  if (mirrors.length === 0) {
    throw refuse(
      "apt is configured with no Debian mirror (POOLSCOPE_DEBIAN_MIRROR can name one)",
    );
  }
  const keyrings = debianKeyrings();
  return mirrors.flatMap(({ uri, signedBy, trusted }) => {
    const keys = [...new Set([...signedBy, ...keyrings])].filter((path) => existsSync(path));
    if (keys.length === 0 && !trusted) return [];
    const lines = ["Types: deb", `URIs: ${uri}`, `Suites: ${suite}`, "Components: main"];
    // The newest of Debian's keyrings holds all keys; a source's own may be an older subset.
    if (keys.length > 0) lines.push(`Signed-By: ${keys.join(" ")}`);
    if (trusted) lines.push("Trusted: yes");
    return [{ uri: redact(uri), text: lines.join("\n") + "\n" }];
  });
}

/**
 * What unpacking needs, checked.
 *
 * @returns Where the release may be had, likeliest first.
 */
export async function requireDebian(
  refuse: Refuse,
  suite: Suite = "trixie",
): Promise<DebianSource[]> {
  for (const program of ["apt-get", "dpkg-deb"]) {
    if (findOnPath(program) === null) {
      throw refuse(`${program} is not on PATH, so it cannot be unpacked from Debian's packages`);
    }
  }
  const sources = await describeSources(refuse, suite);
  if (sources.length === 0) {
    throw refuse(
      "Debian's keyring is missing, so its packages cannot be verified (package debian-archive-keyring)",
    );
  }
  return sources;
}

/** Options of {@linkcode unpackDebian}. */
export interface UnpackOptions {
  /** Turns what went wrong into the error that is thrown. */
  refuse: Refuse;
  /** What is unpacked, for the line of progress, as in `PgBouncer and its libraries`. */
  what: string;
  /** Called with each line of progress. */
  log?: (line: string) => void;
  /** Stops the download. */
  signal?: AbortSignal;
  /** The release. @default {"trixie"} */
  suite?: Suite;
}

/**
 * Downloads packages of a release of Debian and unpacks them.
 *
 * @param packages Their names; what they depend on is not added.
 * @param work An empty folder of the caller's, who removes it.
 * @returns The folder in `work` that holds what was unpacked.
 * @throws What `refuse` makes of it if no mirror gives them.
 */
export async function unpackDebian(
  packages: readonly string[],
  work: string,
  { refuse, what, log, signal, suite = "trixie" }: UnpackOptions,
): Promise<string> {
  const sources = await requireDebian(refuse, suite);
  let problem = "";
  const archives = join(work, "archives");
  await Deno.mkdir(archives);
  for (const { uri, text } of sources) {
    const env = await createPrivateApt(join(work, "apt"), text);
    log?.(`Reading ${SUITES[suite]}'s package list`);
    const update = await tryCommand(
      ["apt-get", "update", "-q", "--error-on=any"],
      { env, signal },
    );
    if (update.code !== 0) {
      problem = `${uri} does not give ${SUITES[suite]} (${suite}): ${lastLine(update)}`;
      continue;
    }
    log?.(`Downloading ${what}`);
    const download = await tryCommand(
      ["apt-get", "download", "-q", ...packages],
      { env, signal, cwd: archives },
    );
    if (download.code === 0) {
      problem = "";
      break;
    }
    problem = `${uri} does not give its packages: ${lastLine(download)}`;
  }
  if (problem !== "") throw refuse(problem);

  const folder = join(work, "root");
  for (const entry of Deno.readDirSync(archives)) {
    await runCommand(
      `unpack ${entry.name}`,
      ["dpkg-deb", "-x", join(archives, entry.name), folder],
      { signal },
    );
  }
  return folder;
}
