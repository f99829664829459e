/**
 * The app: what a scenario sets, by the names of the app's own variables, where its port and its
 * database are, by libpq's, and its start.
 */

import { type App, APP_KEYS } from "../apps/app.ts";
import { UsageError } from "../errors.ts";
import type { Address, Host, Instance, InstanceOptions } from "../hosts/host.ts";
import { armName, legsOf, type Scenario } from "../scenario.ts";
import { APP_USER, DATABASE } from "./database.ts";
import { CERTIFICATE_FILES, certificateFiles, type Certificates } from "./tls.ts";

/** Where a run's app listens and which database it is sent to. */
export interface AppPlacement extends Address {
  nonce: string;
  /** The folder that receives what requests spend their time on. */
  timings: string;
  databaseHost: string;
  databasePort: number;
  /** Only for an app that wants it in a URL. */
  databasePassword: string;
  /** The file of the authority that the database's certificate is held against; "" without TLS. */
  databaseCa: string;
}

/**
 * What the scenario says to an app, by the names of its environment variables: its driver options.
 *
 * @throws {UsageError} If the app would lose its prepared statements.
 */
export function appOptions(app: App, scenario: Scenario): Record<string, string> {
  checkPrepared(scenario);
  const told = APP_KEYS.flatMap((key) => {
    const env = app.settings[key]?.env;
    return env === undefined ? [] : [[env, String(scenario[key])]];
  });
  return { ...Object.fromEntries(told), PGSSLMODE: sslMode(legsOf(scenario)[0]!.tls) };
}

/** A server connection that clients share by turns has the statements of them all, unless followed. */
function checkPrepared(scenario: Scenario): void {
  const { path, poolMode, preparedStatements, maxPreparedStatements } = scenario;
  if (path === "direct" || poolMode === "session") return;
  if (preparedStatements && maxPreparedStatements === 0) {
    const arm = armName(scenario);
    throw new UsageError(
      `Cannot run ${arm} with maxPreparedStatements 0 in pool_mode ${poolMode}: clients would lose their prepared statements to each other; set maxPreparedStatements=200, poolMode=session or preparedStatements=false`,
    );
  }
}

/** Encrypted connections always hold certificate and host name against the authority. */
export function sslMode(tls: boolean): "verify-full" | "disable" {
  return tls ? "verify-full" : "disable";
}

/** Where an app finds its port and its database. No password but in the URL of an app that wants one. */
export function appPlacement(
  { settings, databaseUrl }: App,
  placement: AppPlacement,
): Record<string, string> {
  const { host, port, nonce, timings, databaseCa } = placement;
  const database = {
    PGHOST: placement.databaseHost,
    PGPORT: String(placement.databasePort),
    PGDATABASE: DATABASE,
    PGUSER: APP_USER,
    PGSSLROOTCERT: databaseCa,
  };
  const parts: Record<string, string> = {
    user: APP_USER,
    // As a URL holds it, whatever is in it.
    password: encodeURIComponent(placement.databasePassword),
    host: database.PGHOST,
    port: database.PGPORT,
    database: DATABASE,
    sslmode: sslMode(databaseCa !== ""),
    sslrootcert: databaseCa,
  };
  return {
    [settings.host.env]: host,
    [settings.port.env]: String(port),
    ...(settings.nonce && { [settings.nonce.env]: nonce }),
    ...(settings.timings && { [settings.timings.env]: timings }),
    ...database,
    ...(databaseUrl && {
      [databaseUrl.env]: databaseUrl.template.replace(/\{(\w+)\}/g, (_, name) => parts[name]!),
    }),
  };
}

/** The folder of an app's instance in which its workers write what requests spend their time on. */
export const TIMINGS = "timings";

/** Room for an app beside others of a run. */
export function placeApp(
  host: Host,
  app: App,
  place: Omit<InstanceOptions, "service" | "ports">,
): Instance {
  const ports = [app.containerPort];
  // Nothing of it is needed once it is stopped, and a graceful end would wait for idle connections.
  return host.place({ ...place, service: "app", ports, graceS: 0 });
}

/** What a start of an app needs. */
export interface AppStart {
  /** The value that it gives back on its health path. */
  nonce: string;
  /** Where it finds its database, or PgBouncer. */
  database: Address;
  password: string;
  /** The authority that its database's certificate is held against; null without TLS. */
  certificates: Certificates | null;
  /** Variables beside the app's own. @default none */
  env?: Record<string, string>;
  cores?: string;
}

/**
 * Starts an app; it is not waited for.
 *
 * @returns What the scenario says to it, by the names of its variables.
 */
export async function startApp(
  instance: Instance,
  app: App,
  scenario: Scenario,
  { nonce, database, password, certificates, env = {}, cores }: AppStart,
): Promise<Record<string, string>> {
  const options = appOptions(app, scenario);
  const encrypted = legsOf(scenario)[0]!.tls ? certificates : null;
  const placement = appPlacement(app, {
    ...instance.binds(app.containerPort),
    nonce,
    databaseHost: database.host,
    databasePort: database.port,
    timings: instance.path(TIMINGS),
    databasePassword: password,
    databaseCa: encrypted === null ? "" : instance.path(CERTIFICATE_FILES.ca),
  });
  await instance.start({
    env: {
      PYTHONUNBUFFERED: "1",
      PGPASSFILE: instance.path("pgpass"),
      ...env,
      ...options,
      ...placement,
    },
    files: [
      { name: "pgpass", content: `*:*:${DATABASE}:${APP_USER}:${password}\n` },
      // Its workers may be another user's.
      { name: TIMINGS, content: null, mode: 0o777 },
      ...certificateFiles(encrypted, ["ca"]),
    ],
    listenBacklog: scenario.listenBacklog,
    cores,
  });
  return options;
}
