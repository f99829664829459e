/** Every sentence on what single choices bring. */

import type { Choice } from "../stats/effects.ts";
import type { ComparisonVerdict } from "../stats/family.ts";
import { formatList } from "./format.ts";

const SERVICE_NAMES: Record<string, string> = {
  app: "app",
  pgbouncer: "PgBouncer",
  postgres: "PostgreSQL",
};

/** What a figure and a table say of effects. */
export const effectWords = {
  /** A choice, by the values that are compared. */
  choice: {
    reuse: (from: string, to: string) => `reuse ${to} instead of ${from}`,
    path: () => "PgBouncer in between",
    preparedStatements: () => "prepared statements",
    livenessCheck: () => "a check of each kept connection",
    poolMode: (from: string, to: string) => `pool_mode ${to} instead of ${from}`,
  } satisfies Record<Choice, (from: string, to: string) => string>,
  /** What both arms have in common, of what differs among the arms; null for what is usual. */
  value: {
    reuse: (value: string) => value,
    path: (value: string) => value,
    preparedStatements: (value: string) => value === "true" ? null : "statements not prepared",
    livenessCheck: (value: string) => value === "true" ? "connections checked" : null,
    poolMode: (value: string) => value === "transaction" ? null : `pool_mode ${value}`,
  } satisfies Record<Choice, (value: string) => string | null>,
  label: (app: string, choice: string, beside: readonly string[]) =>
    `${app}: ${choice}${beside.length === 0 ? "" : ` (${beside.join(", ")})`}`,

  brings: (label: string, change: string) => `${label}: ${change} the throughput`,
  none: "No choices to compare",
  noneDiffers: "No choice makes a difference that is shown",
  subtitle: "Throughput with the choice over throughput without it, all else equal",
  measure: "throughput",
  table: "What each choice brings, all else equal",
  cpuTable: "CPU time of each service, in seconds per 1,000 requests",
  cpuOf: (service: string) => `${SERVICE_NAMES[service] ?? service}, CPU s`,
  line: (label: string, ratio: string, added: string | null) =>
    `- **${label}: ${ratio} of the throughput**${added === null ? "" : `, ${added}`}.`,
  added: (ms: string, isMore: boolean) => `${ms} ${isMore ? "more" : "less"} per request`,
  others: (labels: readonly string[]) => `- No difference is shown for ${formatList(labels)}.`,
  verdict: {
    higher: "more",
    lower: "less",
    indistinguishable: "no difference shown",
    single: "one start",
    none: "no start",
  } satisfies Record<ComparisonVerdict, string>,
  notTried:
    "This study has no two arms that differ in one choice alone. Run the plan `strategies`, or set one for " +
    "some of the arms.",
} as const;
