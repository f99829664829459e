/** What can limit a scenario, by the names that verdicts and an app's advice have for it. */

/** Resources that can be used up, and other limits. */
export const BOTTLENECKS = [
  "load_limited",
  "generator",
  "host_cpu",
  "app_cpu",
  "workers",
  "app_pool",
  "pgbouncer_cpu",
  "pgbouncer_queue",
  "database_quota",
  "database_locks",
  "connection_setup",
  "refused_connections",
  "held_transactions",
] as const;

export type Bottleneck = typeof BOTTLENECKS[number];
