/**
 * What would take a bottleneck away, or why no setting does.
 *
 * @module
 */

import type { Reuse, Scenario } from "../scenario.ts";

type Value = Scenario[keyof Scenario] | undefined;

const show = (value: Value) => value === null ? "none" : String(value ?? "default");

/** Sentences lack their full stop, but for that of a plan. */
export const adviceWords = {
  users: (users: number) => `it has ${users} users already`,
  generator: "no setting makes the generator faster: give it cores of its own",
  hostCpu: "no setting adds cores: use a larger machine, or end what else runs on it",
  pgbouncerCpu: "PgBouncer runs on one core: start several that share a port (so_reuseport)",
  noQuota: "PostgreSQL has no quota",
  locks: "no setting shortens transactions: see which statements wait in logs and wait_events",
  keepsConnections: (reuse: Reuse) =>
    `the app keeps its connections (${reuse}), and opens new ones all the same`,
  cannotKeep: "the app cannot keep its connections",
  maxConnections: (limit: number) => `max_connections is ${limit} already: use fewer connections`,
  unknown: "what limited it is not known",
  noEffect: "the setting does not act here",
  changes: (changes: readonly { setting: string; before: Value; after: Value }[]) =>
    changes.map(({ setting, before, after }) => `${setting} ${show(before)} → ${show(after)}`)
      .join(", "),
  /** The purpose of the plan that tries the advice. */
  purpose: "Each scenario in turn with itself relieved of what is said to limit it.",
};
