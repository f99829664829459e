// test lane: checkout
import { deepEqual, equal } from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { packTar } from "modern-tar";
import { ContainerInstance } from "./instance.ts";
import type { Relay } from "./relay.ts";

/** An entry of an archive: a file's text, or what else it is. */
type Entries = Record<string, string | { type: "directory" | "symlink"; linkname?: string }>;

/** A container on a daemon that gives nothing but an archive of the container's folder. */
async function containerWith(entries: Entries, folder: string): Promise<ContainerInstance> {
  const archive = await packTar(
    Object.entries(entries).map(([name, entry]) =>
      typeof entry === "string"
        ? { header: { name, type: "file" as const, size: entry.length }, body: entry }
        : { header: { name, size: 0, ...entry } }
    ),
  );
  // As a daemon sends it: in pieces of any length.
  const pieces = Array.from(
    { length: Math.ceil(archive.length / 700) },
    (_, i) => archive.slice(700 * i, 700 * (i + 1)),
  );
  const docker = {
    getContainer: (id: string) => ({
      getArchive({ path }: { path: string }) {
        deepEqual([id, path], ["there", "/poolscope-run/."]);
        return Promise.resolve(Readable.from(pieces));
      },
    }),
  };
  const instance = new ContainerInstance({
    service: "locust",
    program: { command: null, image: "image" },
    logFile: join(folder, "log"),
    docker: docker as unknown as Docker,
    container: "name",
    labels: {},
    networkId: "network",
    published: true,
    relay: null as unknown as Relay,
    users: new Map(),
    forget() {},
  });
  instance.id = "there";
  return instance;
}

/** The texts of all files of a folder, by their paths. */
function textsIn(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true }).map(String).sort();
  return Object.fromEntries(
    names.filter((name) => statSync(join(folder, name)).isFile())
      .map((name) => [name, readFileSync(join(folder, name), "utf8")]),
  );
}

Deno.test("collect() brings a container's files and those of its numbered folders, nothing else", async () => {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-collect-"));
  try {
    const long = "x".repeat(5000);
    const instance = await containerWith({
      "./": { type: "directory" },
      "./final.json": "{}",
      "./.arms.json": "[]",
      "./empty.csv": "",
      "./0/": { type: "directory" },
      "./0/slices.csv": "first",
      "./0/requests.csv": long,
      "./12/slices.csv": "thirteenth",
      "./12/deeper/slices.csv": "too deep",
      "./0/1/slices.csv": "too deep",
      "./other/slices.csv": "not ours",
      "./../outside": "outside",
      "./0/../../outside": "outside",
      "/outside": "outside",
      "./0/link": { type: "symlink", linkname: "/etc/passwd" },
    }, folder);
    const [into, log] = [join(folder, "into"), join(folder, "log")];
    await instance.collect(into);
    deepEqual(textsIn(into), {
      ".arms.json": "[]",
      "0/requests.csv": long,
      "0/slices.csv": "first",
      "12/slices.csv": "thirteenth",
      "empty.csv": "",
      "final.json": "{}",
    });
    equal(readFileSync(log, "utf8"), "");
    deepEqual(readdirSync(folder).sort(), ["into", "log"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

Deno.test("collect() of a container that was never created brings nothing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-collect-"));
  try {
    const instance = await containerWith({ "./final.json": "{}" }, folder);
    instance.id = "";
    await instance.collect(join(folder, "into"));
    deepEqual(readdirSync(folder), ["log"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
