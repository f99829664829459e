/**
 * Programs of Debian 13, or of its next release, on any Debian or Ubuntu: packages, verified by
 * Debian's keys and unpacked into a folder, without root and without installing anything.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { createPrivateApt, debianMirrors, readAptSources } from "./apt.ts";
import {
  type Argv,
  findOnPath,
  lastLine,
  redact,
  runCommand,
  type StepOptions,
  tryCommand,
} from "./command.ts";

/** Debian's releases that are unpacked, by their names on its mirrors. */
export const SUITES = { trixie: "Debian 13", testing: "Debian testing" } as const;

export type Suite = keyof typeof SUITES;

/** How to say that it cannot be had: the caller adds what for, and what to do instead. */
type Refuse = (what: string) => Error;

/**
 * Debian's keyrings: newer systems have `.pgp`, older ones `.gpg`. Packages are never taken without a
 * signature that one of them verifies.
 */
const KEYRINGS = ["pgp", "gpg"]
  .map((end) => `/usr/share/keyrings/debian-archive-keyring.${end}`);

/**
 * Checks the prerequisites of unpacking, and says where the release may be had, likeliest first: addresses
 * without credentials, and the whole in apt's newer format.
 */
export async function requireDebian(
  refuse: Refuse,
  suite: Suite = "trixie",
): Promise<{ uri: string; text: string }[]> {
  for (const program of ["apt-get", "dpkg-deb"]) {
    if (findOnPath(program) === null) {
      throw refuse(`${program} is not on PATH, so it cannot be unpacked from Debian's packages`);
    }
  }
  const chosen = Deno.env.get("POOLSCOPE_DEBIAN_MIRROR");
  const mirrors = chosen
    ? [{ uri: chosen, suites: [], signedBy: [], trusted: false }]
    : debianMirrors(await readAptSources());
  if (mirrors.length === 0) {
    throw refuse("apt is configured with no Debian mirror (POOLSCOPE_DEBIAN_MIRROR can name one)");
  }
  const keyring = KEYRINGS.filter(existsSync).slice(0, 1);
  const sources = mirrors.flatMap(({ uri, signedBy, trusted }) => {
    const keys = [...new Set([...signedBy, ...keyring])].filter(existsSync);
    if (keys.length === 0 && !trusted) return [];
    const lines = ["Types: deb", `URIs: ${uri}`, `Suites: ${suite}`, "Components: main"];
    // The newest of Debian's keyrings holds all keys; a source's own may be an older subset.
    if (keys.length > 0) lines.push(`Signed-By: ${keys.join(" ")}`);
    if (trusted) lines.push("Trusted: yes");
    return [{ uri: redact(uri), text: lines.join("\n") + "\n" }];
  });
  if (sources.length > 0) return sources;
  throw refuse(
    "Debian's keyring is missing, so its packages cannot be verified (package debian-archive-keyring)",
  );
}

/**
 * Downloads packages of a release of Debian and unpacks them.
 *
 * @param packages Their names; what they depend on is not added.
 * @param work An empty folder of the caller's, who removes it.
 * @param options `what` names the packages in the line of progress.
 * @returns The folder in `work` that holds what was unpacked.
 */
export async function unpackDebian(
  packages: readonly string[],
  work: string,
  { refuse, what, log, signal, suite = "trixie" }:
    & StepOptions
    & { refuse: Refuse; what: string; suite?: Suite },
): Promise<string> {
  const archives = join(work, "archives");
  const folder = join(work, "root");
  await Deno.mkdir(archives);
  let problem = "";
  for (const { uri, text } of await requireDebian(refuse, suite)) {
    const apt = { env: await createPrivateApt(join(work, "apt"), text), signal, cwd: archives };
    log?.(`Reading ${SUITES[suite]}'s package list`);
    const update = await tryCommand(["apt-get", "update", "-q", "--error-on=any"], apt);
    if (update.code !== 0) {
      problem = `${uri} does not give ${SUITES[suite]} (${suite}): ${lastLine(update)}`;
      continue;
    }
    log?.(`Downloading ${what}`);
    const download = await tryCommand(["apt-get", "download", "-q", ...packages], apt);
    if (download.code !== 0) {
      problem = `${uri} does not give its packages: ${lastLine(download)}`;
      continue;
    }
    for (const { name } of Deno.readDirSync(archives)) {
      const argv: Argv = ["dpkg-deb", "-x", join(archives, name), folder];
      await runCommand(`unpack ${name}`, argv, { signal });
    }
    return folder;
  }
  throw refuse(problem);
}
