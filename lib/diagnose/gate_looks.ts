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
import { askedVersion, type Manifest } from "../store/manifest.ts";
import { type AppBudget, gateWords as say } from "../wording/gates.ts";

/** A change of half of the mean is no steady state, however little a test can tell it from chance. */
export const LARGEST_CHANGE = 0.5;

/** What a gate saw in one run. */
export interface Seen {
  text: string;
  /** Of several runs the worst is reported. */
  size: number;
}

/** A trend, and what it is a trend of. */
type NamedTrend = Trend & { of: "throughput" | "service" };

/** The trends that are large, largest first. */
function largeTrends({ conditions: { steady } }: RunSummary): NamedTrend[] {
  if (steady === null) return [];
  const trends: NamedTrend[] = [
    { of: "throughput", ...steady.throughput },
    { of: "service", ...steady.serviceTime },
  ];
  return trends.filter(({ change }) => Math.abs(change) > TOLERATED_CHANGE)
    .sort((a, b) => Math.abs(b.change) - Math.abs(a.change));
}

/** What is told of trends that are surely there, or that may be. */
export function seeTrends(run: RunSummary, sure: boolean): Seen | null {
  if (run.status === "failed") return null;
  const isSure = ({ p }: Trend) => p !== null && p < TREND_LEVEL;
  const all = largeTrends(run);
  if (all.some(isSure) !== sure) return null;
  // Of few requests a mean changes that much by chance.
  const enough = run.requests - run.failures >= leastRequests(95);
  const trends = all.filter((trend) =>
    sure
      ? isSure(trend)
      : trend.p === null || (enough && Math.abs(trend.robustChange) > LARGEST_CHANGE)
  );
  if (trends.length === 0) return null;
  return {
    text: say[sure ? "no_steady_state" : "steady_state_unknown"].saw(trends),
    size: Math.max(...trends.map(({ change }) => Math.abs(change))),
  };
}

/** How many connections the apps of some scenarios may open, by app. */
export function budgetsOf(scenarios: readonly Scenario[]): AppBudget[] {
  const apps = Map.groupBy(scenarios, ({ framework }) => framework);
  return [...apps].map(([name, own]) => ({
    app: appTitle(name),
    connections: [...new Set(own.map(connectionBudget))],
  }));
}

/** What of a plan may open more connections than PostgreSQL leaves it, a text each. */
export function seeRefusals(scenarios: readonly Scenario[]): string[] {
  const opened = (scenario: Scenario) =>
    Math.min(
      connectionBudget(scenario),
      scenario.path === "pooled" ? scenario.defaultPoolSize : Infinity,
    );
  const large = scenarios.filter((scenario) => opened(scenario) > connectionsLeft(scenario));
  const direct = large.filter(({ path }) => path === "direct");
  const limits = new Set(direct.map(({ maxConnections }) => maxConnections));
  const texts = direct.length === 0
    ? []
    : [say.budget_above_server.saw(budgetsOf(direct), [...limits])];
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
  return [say.fixed_order.saw(cells, orders.length)];
}

/** Programs that all apps of a study run on; packages are each app's own. */
const SHARED = ["deno", "python", "locust", "postgres", "pgbouncer"];

/** What of the versions is not the same in all runs. */
export function seeVersions(manifests: readonly Manifest[]): string[] {
  const { saw } = say.versions_differ;
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
      add(saw.image(name), image, askedVersion(scenario, name));
    }
    add(saw.commit, gitCommit?.slice(0, 8));
    add(saw.kernel, host.kernel);
    add(saw.cpu, host.cpuModel);
    add(saw.engine, engine);
  }
  return [...values.values()].filter(({ found }) => found.size > 1)
    .map(({ name, found }) => saw.values(name, [...found]));
}
