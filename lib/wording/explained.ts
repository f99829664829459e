/** What stands under an answer: every sentence. */

import { verdictTitles } from "./bottlenecks.ts";
import { capitalise } from "./format.ts";

type Verdict = keyof typeof verdictTitles;

/** A bottleneck within a sentence: `the app's CPU`, `PgBouncer's queue`. */
function inSentence(verdict: Verdict): string {
  const title = verdictTitles[verdict];
  return title.startsWith("PgBouncer") ? title : title[0]!.toLowerCase() + title.slice(1);
}

/** By what an arm was limited. */
function limitedBy(verdict: Verdict): string {
  return verdict === "load_limited" ? "nothing but the load" : inSentence(verdict);
}

export const explainedWords = {
  limits: (at: string, direct: Verdict, pooled: Verdict) =>
    direct === pooled
      ? `${at}, both paths were limited by ${limitedBy(direct)}`
      : `${at}, direct was limited by ${limitedBy(direct)}, pooled by ${limitedBy(pooled)}`,
  sessions: (allMs: string, ofSessionsMs: string, eachMs: string) =>
    `of the ${allMs} of PostgreSQL's CPU time that a request took direct, ${ofSessionsMs} went into opening ` +
    `sessions (${eachMs} for each)`,
  why: (parts: readonly string[]) => `  - Why: ${capitalise(parts.join("; "))}.`,
  change: (what: string) => `  - What would change it: ${what}.`,
  keeping: (reuse: string) =>
    "an app that keeps its connections, for which PgBouncer is one hop more " +
    `(\`--set reuse=${reuse}\` measures it)`,
  reconnecting:
    "an app that opens a connection for each request (`--set reuse=per_request` measures it), or " +
    "replicas that together want more connections than PostgreSQL has room for",
  room: "a larger `max_connections`, or fewer connections of each replica",
  paste: (settings: readonly string[]) =>
    `  - In \`pgbouncer.ini\`: ${settings.map((one) => `\`${one}\``).join(", ")}.`,
};
