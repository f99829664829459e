/**
 * Reads where a Debian or Ubuntu machine gets its packages from, and sets up a private apt beside the
 * machine's own: own lists, cache and sources, nothing installed, no root needed.
 */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Argv, runCommand } from "./command.ts";

/** Parses a file of apt's sources; only a `.sources` is of the newer format. */
export function parseAptSources(name: string, text: string) {
  const newer = name.endsWith(".sources") ? text : toNewerFormat(text);
  return newer.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map<string, string>();
    let last = "";
    for (const line of stanza.split("\n")) {
      if (line.startsWith("#")) continue;
      const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
      if (match !== null) fields.set(last = match[1]!.toLowerCase(), match[2]!.trim());
      else if (/^\s+\S/.test(line)) fields.set(last, `${fields.get(last) ?? ""} ${line.trim()}`);
    }
    const words = (field: string) => (fields.get(field) ?? "").split(/\s+/).filter(Boolean);
    if (!words("types").includes("deb") || /^no$/i.test(fields.get("enabled") ?? "")) return [];
    return words("uris").map((uri) => ({
      uri,
      suites: words("suites"),
      // Keyring files; none where apt's own trusted ones apply.
      signedBy: words("signed-by").filter((path) => path.startsWith("/")),
      trusted: /^yes$/i.test(fields.get("trusted") ?? ""),
    }));
  });
}

type AptSource = ReturnType<typeof parseAptSources>[number];

/** A stanza for each line of the older format, as in `deb [trusted=yes] http://… trixie main`. */
function toNewerFormat(text: string): string {
  return text.split("\n").map((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)/.exec(line.replace(/#.*/, ""));
    if (match === null) return "";
    const [, options = "", uri, suite] = match;
    const fields = options.trim().replaceAll(/\s+/g, "\n").replaceAll(/^(\S+?)=/gm, "$1: ")
      .replaceAll(",", " ");
    return `Types: deb\nURIs: ${uri}\nSuites: ${suite}\n${fields}`;
  }).join("\n\n");
}

/**
 * The Debian mirrors among the sources, likeliest first; beside a mirror of Ubuntu there may be one
 * of Debian on the same host.
 */
export function debianMirrors(sources: AptSource[]): AptSource[] {
  const usable = sources.filter(({ uri, suites }) =>
    // Not a disc, not a list of mirrors, not the security archive.
    /^(https?|mirror|file|copy|ftp|[a-z]+\+https?):/.test(uri) &&
    ![uri, ...suites].some((text) => text.includes("security"))
  ).map((source) => ({ ...source, uri: source.uri.replace(/\/+$/, "") }));
  const debian = usable.filter(({ uri }) => /debian/i.test(new URL(uri).pathname));
  const beside = usable.filter(({ uri }) => uri.endsWith("/ubuntu"))
    .map((source) => ({ ...source, uri: source.uri.replace(/ubuntu$/, "debian"), signedBy: [] }));
  const all = [...debian, ...beside];
  return all.filter(({ uri }, i) => all.findIndex((other) => other.uri === uri) === i);
}

export async function readAptSources(): Promise<AptSource[]> {
  const names = ["LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"];
  const argv: Argv = ["apt-config", "shell", ...names];
  const { stdout } = await runCommand("read apt's configuration", argv);
  const told = (name: string) => new RegExp(`^${name}='(.*)'$`, "m").exec(stdout)?.[1];
  const list = told("LIST") ?? "/etc/apt/sources.list";
  const folder = told("PARTS") ?? "/etc/apt/sources.list.d";
  const parts = existsSync(folder) ? readdirSync(folder) : [];
  const paths = parts.filter((name) => /\.(list|sources)$/.test(name))
    .map((name) => join(folder, name));
  return [list, ...paths].sort().flatMap((path) => {
    try {
      return parseAptSources(path, Deno.readTextFileSync(path));
    } catch {
      return []; // Not there, or not for our eyes.
    }
  });
}

/** The configuration of an apt whose files are all below a folder. */
function privateConfiguration(folder: string): string {
  return `Dir::State "${folder}/state/";
Dir::State::lists "${folder}/state/lists/";
Dir::State::status "${folder}/etc/status";
Dir::Cache "${folder}/cache/";
Dir::Etc::Parts "/dev/null";
Dir::Etc::main "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "${folder}/etc/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Acquire::Languages "none";
APT::Sandbox::User "${Deno.uid() === 0 ? "root" : ""}";
Debug::NoLocking "true";
`;
}

/**
 * Prepares a private apt in a folder; nothing counts as installed.
 *
 * @param sources Where packages come from, in apt's newer format.
 * @returns The environment that makes apt-get use it.
 */
export async function createPrivateApt(
  folder: string,
  sources: string,
): Promise<Record<string, string>> {
  for (const name of ["state/lists/partial", "cache/archives/partial", "etc"]) {
    await Deno.mkdir(join(folder, name), { recursive: true });
  }
  // Proxy, certificates, retries and the like are the machine's; its hooks must not run here.
  const { stdout } = await runCommand("read apt's configuration", ["apt-config", "dump"]);
  const kept = stdout.split("\n").filter((line) =>
    /^Acquire::.* "[^"]+";$/.test(line) &&
    !/^Acquire::(IndexTargets|Languages|GzipIndexes)/.test(line)
  );
  const configuration = [...kept, privateConfiguration(folder)].join("\n");
  const files = { status: "", "debian.sources": sources, "apt.conf": configuration };
  for (const [name, text] of Object.entries(files)) {
    // The address of a mirror or a proxy may hold a password.
    await Deno.writeTextFile(join(folder, "etc", name), text, { mode: 0o600 });
  }
  return {
    APT_CONFIG: join(folder, "etc", "apt.conf"),
    LC_ALL: "C",
    DEBIAN_FRONTEND: "noninteractive",
  };
}
