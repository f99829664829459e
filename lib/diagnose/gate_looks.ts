/**
 * What gates look for in runs and plans, where it takes more than a comparison with a threshold.
 */

import { appTitle } from "../apps/folders.ts";
import { comparePool, connectionBudget, connectionsLeft } from "../connections.ts";
import type { Scenario } from "../scenario.ts";
import { leastRequests } from "../stats/latency.ts";
import { TOLERATED_CHANGE, type Trend, TREND_LEVEL } from "../stats/steady_state.ts";
import type { RunSummary } from "../stats/summary.ts";
import { askedVersion, type Manifest } from "../store/manifest.ts";
import { measureWords } from "../wording/claims.ts";
import { formatPercent } from "../wording/format.ts";

/** A change of half of the mean is no steady state, however little a test can tell it from chance. */
export const LARGEST_CHANGE = 0.5;

/** What a gate saw in one run. */
export interface Sighting {
  text: string;
  /** Of several runs the worst is reported. */
  size: number;
}

/** Sees a value above a limit; null stands for one that is not known. */
export function seeAbove(
  value: number | null | undefined,
  limit: number,
  describe: (value: number) => string,
): Sighting | null {
  return value == null || value <= limit ? null : { text: describe(value), size: value };
}

/** Sees large trends, the largest first: those that are surely there, or those that may be. */
export function seeTrends(run: RunSummary, sure: boolean): Sighting | null {
  const { steady } = run.conditions;
  if (run.status === "failed" || steady === null) return null;
  const isSure = ({ p }: Trend) => p !== null && p < TREND_LEVEL;
  const large = [
    { of: measureWords.throughput, ...steady.throughput },
    { of: measureWords.service, ...steady.serviceTime },
  ].filter(({ change }) => Math.abs(change) > TOLERATED_CHANGE)
    .sort((a, b) => Math.abs(b.change) - Math.abs(a.change));
  if (large.some(isSure) !== sure) return null;
  // Of few requests a mean changes that much by chance.
  const enough = run.requests - run.failures >= leastRequests(95);
  const trends = large.filter((trend) =>
    sure
      ? isSure(trend)
      : trend.p === null || (enough && Math.abs(trend.robustChange) > LARGEST_CHANGE)
  );
  const texts = trends.map(({ of, change }) =>
    `${of} ${change < 0 ? "fell" : "rose"} by ${formatPercent(Math.abs(change))}`
  );
  const [largest] = trends;
  return largest === undefined
    ? null
    : { text: `${texts.join(" and ")} in the window`, size: Math.abs(largest.change) };
}

/** How many connections each app may open in some scenarios. */
export function budgetsOf(scenarios: readonly Scenario[]) {
  const apps = Map.groupBy(scenarios, ({ framework }) => framework);
  return [...apps].map(([name, own]) => ({
    app: appTitle(name),
    connections: [...new Set(own.map(connectionBudget))],
  }));
}

/** As in `Shop 64 or unbounded, Blog 20`. */
export function listBudgets(budgets: ReturnType<typeof budgetsOf>): string {
  return budgets.map(({ app, connections }) =>
    `${app} ${connections.map((n) => Number.isFinite(n) ? n : "unbounded").join(" or ")}`
  ).join(", ");
}

/** Sees what of a plan may open more connections than PostgreSQL leaves it, a text each. */
export function seeRefusals(scenarios: readonly Scenario[]): string[] {
  const large = scenarios.filter((scenario) => {
    const pool = scenario.path === "pooled" ? scenario.defaultPoolSize : Infinity;
    return Math.min(connectionBudget(scenario), pool) > connectionsLeft(scenario);
  });
  const { direct = [], pooled = [] } = Object.groupBy(large, ({ path }) => path);
  const limits = new Set(direct.map(({ maxConnections }) => maxConnections));
  const others = Math.max(0, ...direct.map(({ idleConnections }) => idleConnections));
  const idle = others === 0 ? "" : ` and ${others} of other replicas`;
  const texts = direct.length === 0
    ? []
    : [`${listBudgets(budgetsOf(direct))}${idle} for max_connections ${[...limits].join(" or ")}`];
  return [...texts, ...new Set(pooled.map(comparePool))];
}

/** Sees whether the cells had only one order in all rounds; those in turns have one in each block. */
export function seeOrder(all: readonly Manifest[]): string[] {
  const manifests = all.filter(({ slices }) => slices === undefined);
  const rounds = [...Map.groupBy(manifests, ({ round }) => round).values()];
  const orders = rounds.map((own) =>
    own.sort((a, b) => a.order - b.order).map(({ scenarioId }) => scenarioId).join()
  );
  const cells = rounds[0]?.length ?? 0;
  if (cells < 2 || new Set(orders).size > 1) return [];
  return rounds.length === 1
    ? [`${cells} cells in one random order`]
    : [`${cells} cells in the same order in all ${rounds.length} rounds`];
}

/** Programs that all apps of a study run on; packages are each app's own. */
const SHARED = ["deno", "python", "locust", "postgres", "pgbouncer"];

export function seeVersions(manifests: readonly Manifest[]): string[] {
  const values = new Map<string, { name: string; found: Set<string> }>();
  const add = (name: string, value: string | null | undefined, scope = "") => {
    if (value == null) return;
    const key = `${name} ${scope}`;
    const { found } = values.get(key) ?? { found: new Set<string>() };
    values.set(key, { name, found: found.add(value) });
  };
  for (const { versions, images, gitCommit, host, engine, scenario } of manifests) {
    // Servers differ where arms ask for it, and packages from app to app, on purpose.
    for (const [name, version] of Object.entries(versions)) {
      const scope = SHARED.includes(name) ? askedVersion(scenario, name) : scenario.framework;
      add(name, version, scope);
    }
    for (const [name, image] of Object.entries(images)) {
      add(`image of ${name}`, image, askedVersion(scenario, name));
    }
    add("Poolscope's commit", gitCommit?.slice(0, 8));
    add("kernel", host.kernel);
    add("CPU", host.cpuModel);
    add("engine", engine);
  }
  return [...values.values()].filter(({ found }) => found.size > 1)
    .map(({ name, found }) => `${name}: ${[...found].join(", ")}`);
}
