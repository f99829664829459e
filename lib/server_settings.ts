/**
 * Settings of PgBouncer and PostgreSQL by their own names, as in `pgbouncer.reserve_pool_size`: any that
 * the version in use has, but for those that Poolscope needs for itself or has a name for.
 */

import { UsageError } from "./errors.ts";

/** The servers whose settings can be given, with their titles. */
export const SERVERS = { pgbouncer: "PgBouncer", postgres: "PostgreSQL" } as const;

export type Server = keyof typeof SERVERS;

/** The name of a server's setting in a scenario: the server, a dot, and the server's own name. */
export type ServerSettingName = `${Server}.${string}`;

/** Settings by {@linkcode ServerSettingName}; all values are text. */
export type ServerSettings = { [name: ServerSettingName]: string };

/** Names that cannot be given, and why; a star stands for any ending. */
export const REFUSED: Record<Server, Record<string, string>> = {
  pgbouncer: {
    "listen_addr listen_port unix_socket_* peer_id": "Poolscope chooses where it listens",
    "auth_* admin_users stats_users": "Poolscope logs in with roles and passwords of its own",
    "client_tls_sslmode client_tls_ca_file client_tls_cert_file client_tls_key_file server_tls_sslmode server_tls_ca_file server_tls_cert_file server_tls_key_file":
      "Poolscope makes the certificates; use tlsAppPgbouncer and tlsPgbouncerDb",
    "logfile syslog*": "Poolscope reads its log",
    "pidfile user conffile job_name service_name resolv_conf":
      "Poolscope starts the process, with files of each run",
  },
  postgres: {
    "listen_addresses port unix_socket_* bonjour*": "Poolscope chooses where it listens",
    "data_directory config_file hba_file ident_file external_pid_file":
      "Poolscope makes the data folder",
    "password_encryption krb_* gss_* db_user_namespace":
      "Poolscope logs in with roles and passwords of its own",
    "ssl ssl_ca_file ssl_cert_file ssl_key_file ssl_crl_* ssl_passphrase_*":
      "Poolscope makes the certificates; use tlsAppDb and tlsPgbouncerDb",
    "log_destination logging_collector log_directory log_filename log_file_mode log_rotation_* syslog_* event_source lc_messages":
      "Poolscope reads its log",
    "superuser_reserved_connections reserved_connections":
      "Poolscope reserves connections for itself; use maxConnections",
    "shared_preload_libraries pg_stat_statements.* compute_query_id track_activities track_counts":
      "Poolscope counts statements and waits by it",
    "timezone log_timezone": "all apps are compared in UTC",
  },
};

/** The server and the server's own name of a setting; null where it is none of a server's. */
export function serverSetting(name: string): { server: Server; name: string } | null {
  const [server, ...rest] = name.split(".");
  return rest.length > 0 && Object.hasOwn(SERVERS, server!)
    ? { server: server as Server, name: rest.join(".") }
    : null;
}

/**
 * Checks a setting of a server before anything starts: whether the server has it, it says itself.
 *
 * @param named Poolscope's own name of it, where there is one.
 * @returns The value as text.
 */
export function readServerSetting(
  name: ServerSettingName,
  value: unknown,
  named: string | undefined,
): string {
  const fail = (why: string): never => {
    throw new UsageError(`Cannot set ${name}: ${why}`);
  };
  const { server, name: theirs } = serverSetting(name)!;
  if (!/^[a-z][a-z0-9_.]*$/.test(theirs)) {
    fail(`${SERVERS[server]}'s names have only lower-case letters, digits, _ and dots`);
  }
  if (named !== undefined) fail(`it is Poolscope's ${named}; set ${named} instead`);
  for (const [names, reason] of Object.entries(REFUSED[server])) {
    const isMeant = (one: string) =>
      one.endsWith("*") ? theirs.startsWith(one.slice(0, -1)) : one === theirs;
    if (names.split(" ").some(isMeant)) fail(`${reason}; leave it out`);
  }
  const text = typeof value === "string" ? value.trim() : String(value);
  const isValue = ["string", "boolean"].includes(typeof value) || Number.isFinite(value);
  // A line break would be another setting.
  // deno-lint-ignore no-control-regex
  if (!isValue || /[\x00-\x1f]/.test(text)) {
    fail(`${JSON.stringify(value)} is no value; give a text without line breaks, or a number`);
  }
  return text;
}

/** The settings of one server in a scenario, by the server's own names, in order. */
export function settingsOfServer(scenario: object, server: Server): Record<string, string> {
  return Object.fromEntries(
    Object.entries(scenario).flatMap(([key, value]) => {
      const setting = serverSetting(key);
      return setting?.server === server ? [[setting.name, String(value)]] : [];
    }),
  );
}
