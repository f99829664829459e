/**
 * Reads where a Debian or Ubuntu machine gets its packages from, and sets up a private apt beside the
 * machine's own: own lists, cache and sources, nothing installed, no root needed.
 *
 * @module
 */

import { join } from "node:path";
import { runCommand } from "./command.ts";

/** One place that the machine's apt is configured with. */
export interface AptSource {
  /** The address before the suite. */
  uri: string;
  /** As in `bookworm`. */
  suites: string[];
  /** Keyring files; empty when apt's own trusted ones apply. */
  signedBy: string[];
  /** Whether the machine's owner told apt to skip signatures here. */
  trusted: boolean;
}

function parseOneLine(text: string): AptSource[] {
  return text.split("\n").flatMap((line): AptSource[] => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)/.exec(line.replace(/#.*/, ""));
    if (match === null) return [];
    const options = new Map(
      (match[1] ?? "").trim().split(/\s+/).map((word) => {
        const at = word.indexOf("=");
        return [word.slice(0, at).toLowerCase(), word.slice(at + 1)];
      }),
    );
    return [{
      uri: match[2]!,
      suites: [match[3]!],
      signedBy: (options.get("signed-by") ?? "").split(",").filter((path) => path.startsWith("/")),
      trusted: options.get("trusted") === "yes",
    }];
  });
}

function parseDeb822(text: string): AptSource[] {
  return text.split(/\n\s*\n/).flatMap((stanza): AptSource[] => {
    const fields = new Map<string, string>();
    let last = "";
    for (const line of stanza.split("\n")) {
      if (line.startsWith("#")) continue;
      const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
      if (match !== null) fields.set(last = match[1]!.toLowerCase(), match[2]!.trim());
      else if (/^\s+\S/.test(line)) fields.set(last, `${fields.get(last) ?? ""} ${line.trim()}`);
    }
    const words = (name: string) => (fields.get(name) ?? "").split(/\s+/).filter(Boolean);
    if (!words("types").includes("deb") || /^no$/i.test(fields.get("enabled") ?? "")) return [];
    return words("uris").map((uri) => ({
      uri,
      suites: words("suites"),
      signedBy: words("signed-by").filter((path) => path.startsWith("/")),
      trusted: /^yes$/i.test(fields.get("trusted") ?? ""),
    }));
  });
}

/**
 * Parses a file of apt's sources.
 *
 * @param name The file's name: `.sources` is of the newer format, everything else of the older one.
 * @param text Its content.
 *
 * @example
 * ```ts
 * import { parseAptSources } from "./apt.ts";
 *
 * const [source] = parseAptSources("debian.list", "deb http://mirror.example/debian bookworm main");
 * console.assert(source?.uri === "http://mirror.example/debian");
 * ```
 */
export function parseAptSources(name: string, text: string): AptSource[] {
  return name.endsWith(".sources") ? parseDeb822(text) : parseOneLine(text);
}

/**
 * The Debian mirrors among the sources, likeliest first; beside a mirror of Ubuntu there may be one
 * of Debian on the same host.
 */
export function debianMirrors(sources: AptSource[]): AptSource[] {
  const usable = sources.filter((source) =>
    // Not a disc, not a list of mirrors, not the security archive.
    /^(https?|mirror|file|copy|ftp|[a-z]+\+https?):/.test(source.uri) &&
    !/security/.test(source.uri) && !source.suites.some((suite) => /security/.test(suite))
  );
  const trimmed = usable.map((source) => ({ ...source, uri: source.uri.replace(/\/+$/, "") }));
  const debian = trimmed.filter((source) => /debian/i.test(new URL(source.uri).pathname));
  const beside = trimmed
    .filter((source) => /\/ubuntu$/.test(source.uri))
    .map((source) => ({ ...source, uri: source.uri.replace(/ubuntu$/, "debian"), signedBy: [] }));
  const seen = new Set<string>();
  return [...debian, ...beside].filter((source) => !seen.has(source.uri) && seen.add(source.uri));
}

/** The sources that this machine's apt is configured with. */
export async function readAptSources(): Promise<AptSource[]> {
  const { stdout } = await runCommand("read apt's configuration", [
    "apt-config",
    "shell",
    "LIST",
    "Dir::Etc::sourcelist/f",
    "PARTS",
    "Dir::Etc::sourceparts/d",
  ]);
  const list = /^LIST='(.*)'$/m.exec(stdout)?.[1] ?? "/etc/apt/sources.list";
  const parts = /^PARTS='(.*)'$/m.exec(stdout)?.[1] ?? "/etc/apt/sources.list.d";
  const files = [list];
  try {
    for (const entry of Deno.readDirSync(parts)) {
      if (/\.(list|sources)$/.test(entry.name)) files.push(join(parts, entry.name));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files.sort().flatMap((path) => {
    try {
      return parseAptSources(path, Deno.readTextFileSync(path));
    } catch {
      return []; // Not there, or not for our eyes.
    }
  });
}

/**
 * Debian's keyrings on this machine: newer systems have `.pgp`, older ones `.gpg`. Packages are
 * never taken without a signature that one of them verifies.
 */
export function debianKeyrings(): string[] {
  return ["pgp", "gpg"]
    .map((end) => `/usr/share/keyrings/debian-archive-keyring.${end}`)
    .filter((path) => {
      try {
        return Deno.statSync(path).isFile;
      } catch {
        return false;
      }
    })
    .slice(0, 1);
}

/**
 * Prepares a private apt in a folder.
 *
 * @param folder Where its state goes.
 * @param sources Where packages come from, in apt's newer format; null for the machine's own.
 * @param status The file of what counts as installed; null for nothing.
 * @returns The environment that makes apt-get use it.
 */
export async function createPrivateApt(
  folder: string,
  sources: string | null,
  status: string | null = null,
): Promise<Record<string, string>> {
  const at = (...names: string[]) => join(folder, ...names);
  for (const name of ["state/lists/partial", "cache/archives/partial", "etc"]) {
    await Deno.mkdir(at(name), { recursive: true });
  }
  await Deno.writeTextFile(at("etc", "status"), "");
  // Proxy, certificates, retries and the like are the machine's; its hooks must not run here.
  const { stdout } = await runCommand("read apt's configuration", ["apt-config", "dump"]);
  const kept = stdout.split("\n").filter((line) =>
    /^Acquire::.* "[^"]+";$/.test(line) &&
    !/^Acquire::(IndexTargets|Languages|GzipIndexes)/.test(line)
  );
  const own = [
    `Dir::State "${at("state")}/";`,
    `Dir::State::lists "${at("state", "lists")}/";`,
    `Dir::State::status "${status ?? at("etc", "status")}";`,
    `Dir::Cache "${at("cache")}/";`,
    `Dir::Etc::Parts "/dev/null";`,
    `Dir::Etc::main "/dev/null";`,
    `Dir::Etc::preferences "/dev/null";`,
    `Dir::Etc::preferencesparts "/dev/null";`,
    `Acquire::Languages "none";`,
    `APT::Sandbox::User "${Deno.uid() === 0 ? "root" : ""}";`,
    `Debug::NoLocking "true";`,
  ];
  if (sources !== null) {
    await Deno.writeTextFile(at("etc", "debian.sources"), sources, { mode: 0o600 });
    own.push(`Dir::Etc::sourcelist "${at("etc", "debian.sources")}";`);
    own.push(`Dir::Etc::sourceparts "/dev/null";`);
  }
  const path = at("etc", "apt.conf");
  // A proxy's address may hold a password.
  await Deno.writeTextFile(path, [...kept, ...own, ""].join("\n"), { mode: 0o600 });
  return { APT_CONFIG: path, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
}
