/**
 * What the JSON files of a study must hold for a report to read them. Each message says what its field
 * must be; more fields than these are no fault.
 *
 * @module
 */

import { z } from "zod";
import type { FinalAccount, GeneratorProcess } from "./manifest.ts";

const whole = (words = "a whole number of at least 0") => z.int(words).min(0, words);
const amount = (words = "a number of at least 0") => z.number(words).min(0, words);
const text = (words = "a text") => z.string(words).min(1, words);
const record = (words = "an object") => z.record(z.string(), z.unknown(), words);

/** Of every file that says which version wrote it. */
export const VERSIONED = z.looseObject({ schemaVersion: whole("a whole number") });

const COUNT = whole();
const TEXT_OR_NULL = z.string("a text or null").nullable();
const IN_ORDER = "a start before an end";
const WINDOW = z.object({ startUs: whole(IN_ORDER), endUs: whole(IN_ORDER) }, IN_ORDER)
  .refine(({ startUs, endUs }) => startUs < endUs, IN_ORDER).nullable();
const WORK = "statements and rows of each route";

/** What the fields of a manifest must be that every report reads. */
export const MANIFEST = z.looseObject({
  study: text(),
  plan: record(),
  scenarioId: text(),
  scenario: record(),
  round: COUNT,
  order: COUNT,
  status: z.enum(["ok", "failed"], '"ok" or "failed"'),
  cause: TEXT_OR_NULL,
  engine: text(),
  versions: record(),
  gitCommit: TEXT_OR_NULL,
  host: record(),
  limits: record(),
  limitsWarning: TEXT_OR_NULL,
  appOptions: record(),
  exitCodes: record(),
  files: record(),
  window: WINDOW,
  work: z.record(z.string(), z.object({ statements: whole(WORK), rows: whole(WORK) }, WORK), WORK)
    .optional(),
}).superRefine(({ status, cause, window }, context) => {
  const fail = (key: string, message: string) =>
    context.addIssue({ code: "custom", path: [key], message });
  if ((status === "ok") !== (cause === null)) fail("cause", "a text exactly when the run failed");
  // Without one a successful run has no numbers.
  if (status === "ok" && window === null) fail("window", IN_ORDER);
});

const PROCESS = z.looseObject(
  {
    seed: COUNT,
    loadStartUs: COUNT,
    windowStartUs: COUNT,
    windowEndUs: COUNT,
    requests: COUNT,
    cpuS: amount(),
    loopLagMaxMs: amount(),
  } satisfies Record<keyof GeneratorProcess, z.ZodType>,
  "an object",
);
const PROCESSES = "a list of at least one process";

/** What the fields of `final.json` must be. */
export const FINAL = z.looseObject(
  {
    schemaVersion: COUNT,
    requests: COUNT,
    failures: COUNT,
    unfinished: COUNT,
    warmUpRequests: COUNT,
    drainRequests: COUNT,
    arrivals: COUNT,
    late: COUNT,
    dropped: COUNT,
    loadStartUs: COUNT,
    windowStartUs: COUNT,
    windowEndUs: COUNT,
    usersAtWindowStart: COUNT,
    cpuS: amount(),
    loopLagMaxMs: amount(),
    loopLagMeanMs: amount(),
    connections: COUNT.nullish(),
    processes: z.array(PROCESS, PROCESSES).min(1, PROCESSES),
  } satisfies Record<keyof FinalAccount, z.ZodType>,
);

/** What of the manifest of a load every report of it reads. */
export const LOAD_MANIFEST = z.looseObject({
  url: text(),
  routes: z.array(text(), "a list of paths"),
  files: record(),
  window: WINDOW,
});
