/**
 * PostgreSQL and PgBouncer of this machine, as far as they are asked about settings.
 *
 * @module
 */

import { join } from "node:path";
import { tryCommand } from "../setup/command.ts";
import { serviceEnvironment } from "../setup/environment.ts";
import type { Tools } from "../setup/mod.ts";
import type { Owned } from "./cleanup.ts";
import { freePort, makeFolder, writeSecret } from "./cluster.ts";
import { ADMIN_USER, connect, randomPassword } from "./database.ts";
import { LocalProcess, readLog } from "./process.ts";
import type { ServerPrograms } from "./server_programs.ts";
import { waitUntil } from "./wait.ts";

const HOST = "127.0.0.1";

/**
 * The installed programs.
 *
 * @param folder A folder that PostgreSQL's user can enter; what is made in it is removed again.
 */
export function localPrograms(tools: Tools, owned: Owned, folder: string): ServerPrograms {
  return {
    versions: { postgres: tools.postgres.version, pgbouncer: tools.pgbouncer.version },
    async postgres(args) {
      const { code, stdout, stderr } = await tryCommand([tools.postgres.postgres, ...args]);
      return { ok: code === 0, output: stdout + stderr };
    },
    async postgresNames() {
      const { stdout } = await tryCommand([tools.postgres.postgres, "--describe-config"]);
      return stdout.split("\n").map((line) => line.split("\t")[0]!);
    },
    async pgbouncer(lines) {
      const place = join(folder, `probe-${crypto.randomUUID().slice(0, 8)}`);
      owned.addFolder(place);
      try {
        makeFolder(place, tools.user);
        return await probePgbouncer(tools, owned, place, lines);
      } finally {
        owned.removeFolder(place);
      }
    },
  };
}

async function probePgbouncer(
  { pgbouncer, user }: Tools,
  owned: Owned,
  folder: string,
  lines: string,
): ReturnType<ServerPrograms["pgbouncer"]> {
  const access = {
    host: HOST,
    port: freePort(),
    database: "pgbouncer",
    username: ADMIN_USER,
    password: randomPassword(),
  };
  const userlist = join(folder, "userlist.txt");
  writeSecret(userlist, `"${ADMIN_USER}" "${access.password}"\n`, user);
  const ini = join(folder, "pgbouncer.ini");
  const places = { listen_addr: HOST, listen_port: access.port, auth_file: userlist };
  const settings = { ...places, auth_type: "scram-sha-256", stats_users: ADMIN_USER };
  const given = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
  writeSecret(ini, `[pgbouncer]\nunix_socket_dir =\n${given.join("")}${lines}`, user);
  const logFile = join(folder, "pgbouncer.log");
  const process = LocalProcess.start({
    name: "pgbouncer",
    argv: [...pgbouncer.argv, ini],
    env: serviceEnvironment(folder),
    cwd: folder,
    logFile,
    user,
    stopSignal: "QUIT",
    owned,
  });
  try {
    const names = await waitUntil(async () => {
      if (process.exit !== null) return [];
      const console = connect(access, { prepare: false });
      try {
        return (await console.unsafe("show config").simple()).map(({ key }) => String(key));
      } finally {
        await console.end({ timeout: 1 });
      }
    }, { what: "PgBouncer to answer", intervalMs: 20 });
    return process.exit === null ? { names } : { output: readLog(logFile, 0) };
  } finally {
    await process.stop();
  }
}
