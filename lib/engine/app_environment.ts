/**
 * The environment of an app: what a scenario sets, by the names of the app's own variables, and where
 * its port and its database are, by libpq's.
 *
 * @module
 */

import { type App, APP_KEYS } from "../apps/app.ts";
import { UsageError } from "../errors.ts";
import { armName, legsOf, type Scenario } from "../scenario.ts";

/** Where a run's app listens and which database it is sent to. */
export interface AppPlacement {
  host: string;
  port: number;
  nonce: string;
  /** The folder that receives what requests spend their time on. */
  timings: string;
  databaseHost: string;
  databasePort: number;
  databaseName: string;
  databaseUser: string;
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
    throw new UsageError(
      `Cannot run ${
        armName(scenario)
      } with maxPreparedStatements 0 in pool_mode ${poolMode}: clients would lose their prepared statements to each other; set maxPreparedStatements=200, poolMode=session or preparedStatements=false`,
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
    PGDATABASE: placement.databaseName,
    PGUSER: placement.databaseUser,
    PGSSLROOTCERT: databaseCa,
  };
  const parts: Record<string, string> = {
    // As a URL holds them, whatever is in them.
    user: encodeURIComponent(database.PGUSER),
    password: encodeURIComponent(placement.databasePassword),
    host: database.PGHOST,
    port: database.PGPORT,
    database: encodeURIComponent(database.PGDATABASE),
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
