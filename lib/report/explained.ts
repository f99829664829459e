/** What stands under an answer: why it is so, what would change it, and what to set. */

import { judgeGain, type PairEvidence } from "../diagnose/evidence.ts";
import { readApp } from "../apps/app.ts";
import { type Scenario, scenarioId } from "../scenario.ts";
import type { PathRatio } from "../stats/summary.ts";
import { explainedWords as say } from "../wording/explained.ts";
import { momentsOf } from "../stats/interval.ts";
import { cpuPerAnswer } from "../stats/telemetry.ts";
import { atLevels, formatMs } from "../wording/format.ts";
import { explainPairs } from "./pooler.ts";
import type { Study } from "./study.ts";

/** What limited both arms of a pair at its load; null where it is not known of both. */
function limitsOf({ verdicts }: Study, pair: PathRatio): string | null {
  const [direct, pooled] = [pair.direct, pair.pooled].map((id) =>
    verdicts.find(({ scenario }) => scenario.scenarioId === id)?.verdict
  );
  if (direct === undefined || pooled === undefined) return null;
  if (direct === "unknown" || pooled === "unknown") return null;
  return say.limits(atLevels([pair]), direct, pooled);
}

/** Milliseconds of PostgreSQL's CPU time for each answer of an arm; null where that is not known. */
function databaseMs({ runs }: Study, id: string): number | null {
  const seconds = runs.filter(({ scenarioId, status }) => scenarioId === id && status !== "failed")
    .flatMap((run) => cpuPerAnswer(run, "postgres") ?? []);
  return seconds.length === 0 ? null : 1000 * momentsOf(seconds).mean;
}

/**
 * What of the database's CPU time went into opening sessions: what the pooled arm, which has the same
 * statements without the sessions, does not need.
 */
function sessionCost(study: Study, { pair, claims, sessionsDirect, sessionsPooled }: PairEvidence) {
  const [direct, pooled] = [databaseMs(study, pair.direct), databaseMs(study, pair.pooled)];
  if (!claims.includes("reuse") || direct === null || pooled === null) return null;
  const perRequest = ((sessionsDirect ?? 0) - (sessionsPooled ?? 0)) / 1000;
  const ofSessions = direct - pooled;
  if (ofSessions <= 0 || perRequest <= 0) return null;
  return say.sessions(formatMs(direct), formatMs(ofSessions), formatMs(ofSessions / perRequest));
}

/** Which of PgBouncer's settings an app was run with. */
function settingsOf({ poolMode, defaultPoolSize, maxClientConn }: Scenario): string[] {
  return [
    `pool_mode = ${poolMode}`,
    `default_pool_size = ${defaultPoolSize}`,
    `max_client_conn = ${maxClientConn}`,
  ];
}

/**
 * The answer for one app, as far as that can be told: lines that stand below it.
 *
 * @param evidence The app's pairs, from the lowest load.
 */
export function explainAnswer(study: Study, evidence: readonly PairEvidence[]): string[] {
  const last = evidence.at(-1)!;
  const { pair } = last;
  const why = [...explainPairs(evidence), limitsOf(study, pair), sessionCost(study, last)]
    .filter((part) => part !== null);
  const gained = evidence.filter(({ pair }) => pair.verdict === "higher" || isOnlyPooled(pair));
  const explained = gained.some((one) => judgeGain(one) !== "unexplained");
  const pooled = study.plan.scenarios.find((one) => scenarioId(one) === pair.pooled);
  const change = changeOf(pair, gained.length > 0);
  return [
    why.length === 0 ? null : say.why(why),
    change === null ? null : say.change(change),
    explained && pooled !== undefined ? say.paste(settingsOf(pooled)) : null,
  ].filter((line) => line !== null);
}

function isOnlyPooled({ failedPaths }: PathRatio): boolean {
  return failedPaths.join() === "direct";
}

/** With what an answer would be another one; null where that is not known. */
function changeOf(pair: PathRatio, isGain: boolean): string | null {
  if (isOnlyPooled(pair)) return say.room;
  if (pair.reuse !== "per_request") return isGain ? null : say.reconnecting;
  const kept = readApp(pair.framework).reuse.find((reuse) => reuse !== "per_request");
  return kept === undefined || !isGain ? null : say.keeping(kept);
}
