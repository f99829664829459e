// test lane: docker
import { Buffer } from "node:buffer";
import { equal, match } from "node:assert/strict";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { waitUntil } from "../hosts/wait.ts";
import { dockerForTests } from "../testing/docker.ts";
import { packContext } from "../setup/build_context.ts";
import { ensureImages } from "../services/images.ts";

const docker = await dockerForTests("the interface of postgres:16 and of its stand-in");

const file = (name: string, content: string | Uint8Array, executable = false) => ({
  name,
  executable,
  link: false,
  content: Buffer.from(content as string),
});

/** Runs a command in a container; its output, standard error included. */
async function run(container: Docker.Container, env: string[], ...Cmd: string[]): Promise<string> {
  const exec = await container.exec({ Cmd, Env: env, AttachStdout: true, AttachStderr: true });
  const stream = await exec.start({});
  const output = new PassThrough();
  container.modem.demuxStream(stream, output, output);
  stream.on("end", () => output.end());
  return (await text(output)).trim();
}

Deno.test({
  name: "the base of PostgreSQL's image takes the official image's variables, files and arguments",
  ignore: docker.skipped,
  fn: async () => {
    const { docker: api } = docker.open();
    // postgres:16 itself where the images were built on it, else its stand-in.
    const { postgres } = await ensureImages(api, {});
    const container = await api.createContainer({
      Image: postgres!.base,
      Hostname: "database",
      Cmd: ["-c", "max_connections=17"],
      Env: [
        "POSTGRES_USER=ada",
        "POSTGRES_DB=blog",
        "POSTGRES_PASSWORD_FILE=/run/password",
        "POSTGRES_INITDB_ARGS=--locale=C --encoding=UTF8",
        "PGDATA=/var/lib/postgresql/own",
      ],
    });
    try {
      const init = "docker-entrypoint-initdb.d";
      const archive = await packContext([
        file("run/password", "se cret'\n"),
        file(`${init}/1.sql`, "create table one (n int)"),
        file(
          `${init}/2.sh`,
          `#!/bin/sh\npsql -U ada -d blog -c 'insert into one values (2)'\n`,
          true,
        ),
        file(`${init}/3.sh`, `psql -U ada -d blog -c 'insert into one values (3)'\n`),
        file(`${init}/4.sql.gz`, gzipSync("insert into one values (4)")),
        file(`${init}/5.txt`, "not for the database"),
      ]);
      await container.putArchive(Buffer.from(archive), { path: "/" });
      const ask = (sql: string, password = "se cret'") =>
        run(
          container,
          [`PGPASSWORD=${password}`],
          // By its name: the image trusts whoever comes from 127.0.0.1.
          ...["psql", "-h", "database", "-U", "ada", "-d", "blog", "-At", "-c", sql],
        );
      const ready = () =>
        waitUntil(
          async () =>
            /accepting/.test(await run(container, [], "pg_isready", "-h", "127.0.0.1")) || null,
          { what: "PostgreSQL to accept connections", timeoutS: 60 },
        );
      await container.start();
      await ready();
      equal(await ask("select string_agg(n::text, ',' order by n) from one"), "2,3,4");
      equal(await ask("show max_connections"), "17");
      equal(await ask("show data_directory"), "/var/lib/postgresql/own");
      match(await ask("select version()"), /^PostgreSQL 16\./);
      equal(
        await ask("select datcollate || pg_encoding_to_char(encoding) from pg_database limit 1"),
        "CUTF8",
      );
      match(await ask("select 1", "wrong"), /password authentication failed for user "ada"/);
      match(await run(container, [], "cat", "/proc/1/comm"), /^postgres/);
      await container.restart({ t: 20 });
      await ready();
      equal(await ask("select count(*) from one"), "3", "the init files are run once");
    } finally {
      await container.remove({ v: true, force: true });
    }
  },
});

Deno.test({
  name: "the base of PostgreSQL's image refuses to start without a password",
  ignore: docker.skipped,
  fn: async () => {
    const { docker: api } = docker.open();
    const { postgres } = await ensureImages(api, {});
    const output = new PassThrough();
    let said = "";
    output.on("data", (chunk) => said += chunk);
    const [{ StatusCode }, container] = await api.run(postgres!.base, [], output);
    await container.remove({ v: true });
    equal(StatusCode, 1);
    match(said, /POSTGRES_PASSWORD/);
  },
});
