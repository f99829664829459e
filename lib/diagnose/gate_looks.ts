/**
 * What gates look for in runs and plans, where it takes more than a comparison with a threshold.
 *
 * @module
 */

import { appTitle } from "../apps/folders.ts";
import { comparePool, connectionBudget, connectionsLeft } from "../connections.ts";
import type { Scenario } from "../scenario.ts";
import { leastRequests } from "../stats/latency.ts";
import { TOLERATED_CHANGE, type Trend, TREND_LEVEL } from "../stats/steady_state.ts";
import type { RunSummary } from "../stats/summary.ts";
import type { Manifest } from "../store/manifest.ts";

/** A change of half of the mean is no steady state, however little a test can tell it from chance. */
export const LARGEST_CHANGE = 0.5;

/** What a gate saw in one run. */
export interface Seen {
  text: string;
  /** Of several runs the worst is reported. */
  size: number;
}

/** A share in percent, as in `3.1%`. */
export const percent = (share: number) => {
  const value = 100 * share;
  return `${Math.abs(value) < 0.05 ? 0 : value.toFixed(value >= 10 ? 0 : 1)}%`;
};

/** A threshold as it is published. */
export const stated = (share: number) => `${Number((100 * share).toPrecision(4))}%`;

function describeTrend(name: string, { change }: Trend): string {
  return `${name} ${change < 0 ? "fell" : "rose"} by ${percent(Math.abs(change))}`;
}

/** The trends that are large, largest first. */
function largeTrends({ conditions: { steady } }: RunSummary): [string, Trend][] {
  if (steady === null) return [];
  const trends: [string, Trend][] = [
    ["throughput", steady.throughput],
    ["service time", steady.serviceTime],
  ];
  return trends.filter(([, { change }]) => Math.abs(change) > TOLERATED_CHANGE)
    .sort(([, a], [, b]) => Math.abs(b.change) - Math.abs(a.change));
}

/** What is told of trends that are surely there, or that may be. */
export function seeTrends(run: RunSummary, sure: boolean): Seen | null {
  if (run.status === "failed") return null;
  const isSure = ({ p }: Trend) => p !== null && p < TREND_LEVEL;
  const all = largeTrends(run);
  if (all.some(([, trend]) => isSure(trend)) !== sure) return null;
  // Of few requests a mean changes that much by chance.
  const enough = run.requests - run.failures >= leastRequests(95);
  const trends = all.filter(([, trend]) =>
    sure
      ? isSure(trend)
      : trend.p === null || (enough && Math.abs(trend.robustChange) > LARGEST_CHANGE)
  );
  if (trends.length === 0) return null;
  return {
    text: `${
      trends.map(([name, trend]) => describeTrend(name, trend)).join(" and ")
    } in the window`,
    size: Math.max(...trends.map(([, { change }]) => Math.abs(change))),
  };
}

/** The scenarios of a plan by framework, in words: `FastAPI 64, Django 6`. */
export function byFramework(
  scenarios: readonly Scenario[],
  value: (scenario: Scenario) => string | number,
): { text: string; distinct: number } {
  const values = new Map<string, Set<string>>();
  for (const scenario of scenarios) {
    const own = values.get(scenario.framework) ?? new Set();
    values.set(scenario.framework, own.add(String(value(scenario))));
  }
  const texts = [...values].map(([name, own]) => [appTitle(name), [...own].join(" or ")]);
  return {
    text: texts.map((pair) => pair.join(" ")).join(", "),
    distinct: new Set(texts.map(([, text]) => text)).size,
  };
}

/** What an app may open at once, in words where that has no bound. */
export const budgetOf = (scenario: Scenario) => {
  const budget = connectionBudget(scenario);
  return Number.isFinite(budget) ? budget : "unbounded";
};

/** What of a plan may open more connections than PostgreSQL leaves it, a text each. */
export function seeRefusals(scenarios: readonly Scenario[]): string[] {
  const opened = (scenario: Scenario) =>
    Math.min(
      connectionBudget(scenario),
      scenario.path === "pooled" ? scenario.defaultPoolSize : Infinity,
    );
  const large = scenarios.filter((scenario) => opened(scenario) > connectionsLeft(scenario));
  const direct = large.filter(({ path }) => path === "direct");
  const limits = [...new Set(direct.map(({ maxConnections }) => maxConnections))].join(" or ");
  const texts = direct.length === 0
    ? []
    : [`${byFramework(direct, budgetOf).text} for max_connections ${limits}`];
  const pooled = large.filter(({ path }) => path === "pooled").map(comparePool);
  return [...texts, ...new Set(pooled)];
}

/** The order of the cells in each round, where there is only one. */
export function seeOrder(manifests: readonly Manifest[]): string[] {
  const rounds = new Map<number, Manifest[]>();
  for (const manifest of manifests) {
    rounds.set(manifest.round, [...(rounds.get(manifest.round) ?? []), manifest]);
  }
  const orders = [...rounds.values()].map((own) =>
    own.sort((a, b) => a.order - b.order).map(({ scenarioId }) => scenarioId)
  );
  const cells = Math.max(0, ...orders.map((order) => order.length));
  if (cells < 2 || new Set(orders.map((order) => order.join())).size > 1) return [];
  return [
    orders.length === 1
      ? `${cells} cells in one random order`
      : `${cells} cells in the same order in all ${orders.length} rounds`,
  ];
}

/** What of the versions is not the same in all runs. */
export function seeVersions(manifests: readonly Manifest[]): string[] {
  const values = new Map<string, Set<string>>();
  const add = (name: string, value: string | null | undefined) => {
    if (value == null) return;
    values.set(name, (values.get(name) ?? new Set()).add(value));
  };
  for (const { versions, images, gitCommit, host, engine } of manifests) {
    for (const [name, version] of Object.entries(versions)) add(name, version);
    for (const [name, image] of Object.entries(images)) add(`image of ${name}`, image);
    add("Poolscope's commit", gitCommit?.slice(0, 8));
    add("kernel", host.kernel);
    add("CPU", host.cpuModel);
    add("engine", engine);
  }
  return [...values].filter(([, found]) => found.size > 1)
    .map(([name, found]) => `${name}: ${[...found].join(", ")}`);
}
