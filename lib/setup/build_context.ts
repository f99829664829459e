/**
 * What a Docker build is sent: files as a tar archive, the same bytes on every machine, and a hash that
 * tells whether an image was built from them.
 */

import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import ignore from "ignore";
import { packTar } from "modern-tar";

export interface ContextFile {
  name: string;
  /** Its content; of a link, where it points to. */
  content: Uint8Array | string;
  executable: boolean;
  link: boolean;
}

/** What interpreters, editors and desktops leave beside sources; .gitignore has the same. */
const LEFT_BEHIND =
  /^(__pycache__|\.ipynb_checkpoints|\.idea|\.vscode|\.DS_Store|\.#.*|\..*\.sw[a-p]|.*~|.*\.pyc)$/;

/** Reads files and folders of a folder, without what interpreters and editors left there. */
export function readContext(
  folder: string,
  names: readonly string[],
  isIgnored: (name: string) => boolean = () => false,
): ContextFile[] {
  return names.flatMap((name): ContextFile[] => {
    const path = join(folder, name);
    const info = lstatSync(path);
    if (isIgnored(info.isDirectory() ? `${name}/` : name)) return [];
    if (info.isDirectory()) {
      const entries = readdirSync(path).filter((entry) => !LEFT_BEHIND.test(entry));
      return readContext(folder, entries.sort().map((entry) => join(name, entry)), isIgnored);
    }
    const link = info.isSymbolicLink();
    const content = link ? readlinkSync(path) : readFileSync(path);
    return [{ name, content, executable: !link && (info.mode & 0o100) !== 0, link }];
  });
}

/** What no app's sources are, whether or not a .gitignore says so. */
const NO_SOURCES = [".git", "node_modules", ".venv"];

/** Reads an app's folder, also without what the .gitignore in it names. */
export function readFolder(folder: string): ContextFile[] {
  const rules = join(folder, ".gitignore");
  const ignored = ignore().add(NO_SOURCES);
  if (existsSync(rules)) ignored.add(readFileSync(rules, "utf8"));
  return readContext(folder, ["."], (name) => name !== "./" && ignored.ignores(name));
}

/** A hash over names, contents and whether they are programs. */
export function hashContext(files: readonly ContextFile[]): string {
  const hash = createHash("sha256");
  for (const { name, content, executable, link } of files) {
    hash.update(JSON.stringify([name, executable, link, content.length])).update(content);
  }
  return hash.digest("hex");
}

/** The archive; no owner, time or umask of this machine is in it. */
export function packContext(files: readonly ContextFile[]): Promise<Uint8Array> {
  return packTar(files.map(({ name, content, executable, link }) => ({
    header: link
      ? { name, type: "symlink", linkname: String(content), size: 0, mtime: new Date(0) }
      : {
        name,
        type: "file",
        size: content.length,
        mtime: new Date(0),
        mode: executable ? 0o755 : 0o644,
      },
    ...(link ? {} : { body: content }),
  })));
}
