/** `deno task bench verdicts`: is the bottleneck that was put into a run the one that is named? */

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { MIN_RISE } from "../diagnose/relief.ts";
import { agreeOnVerdict, type Verdict } from "../diagnose/verdict.ts";
import { withConnection } from "../services/database.ts";
import type { LoadService } from "../engine/load_service.ts";
import type { RunServices } from "../engine/run_services.ts";
import { LocalEngine } from "../engine/local.ts";
import { PoolscopeError, UsageError } from "../errors.ts";
import { loadPolars } from "../frames/polars.ts";
import type { Plan, PlannedRun } from "../plan.ts";
import { readRun } from "../report/read_run.ts";
import { runScenario } from "../run_group.ts";
import { scenarioId } from "../scenario.ts";
import { setUp } from "../setup/mod.ts";
import type { RunSummary } from "../stats/summary.ts";
import { EventLog } from "../store/events.ts";
import type { BenchOptions } from "./options.ts";
import { seededDraws } from "./random.ts";
import { drawCases, type Injection, type Trial, type VerdictCase } from "./verdict_cases.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface VerdictsResult {
  /** Cases drawn, and of the valid ones those that were named rightly. */
  cases: number;
  correct: number;
  /** Cases of which relief did not do what their injection promises. */
  invalid: number;
  /** Of the valid cases: how often what was injected (first key) was given which verdict. */
  confusion: Record<string, Record<string, number>>;
  /** True when the default, shorter set was run. */
  partial?: true;
}

/** The rules were tuned on cases of seeds below this one, so that none of those is drawn again. */
const FIRST_SEED = 1000;
const DEFAULT_CASES = 8;
/** Of each bottleneck in the full set. */
const CASES_PER_BOTTLENECK = 4;
const WARM_UP_S = 1;
const WINDOW_S = 3;

/** A local engine that puts bottlenecks into its runs which no setting of a scenario makes. */
export class InjectingEngine extends LocalEngine {
  injection: Injection = {};

  override async startRun(run: PlannedRun, folder: string, place?: number): Promise<RunServices> {
    const services = await super.startRun(run, folder, place);
    const { counter, generatorCpus, burners = 0 } = this.injection;
    if (counter !== undefined) await addCounter(services, counter);
    const placeLoad = services.placeLoad.bind(services);
    services.placeLoad = (...where) => {
      const load = placeLoad(...where);
      const start: LoadService["start"] = (command) => {
        const locust = load.start(command);
        const release = locust.release.bind(locust);
        return Object.assign(locust, {
          release: async () => {
            if (generatorCpus !== undefined) {
              await locust.limit({ cpus: generatorCpus, memoryMiB: null });
            }
            const others = startBurners(burners);
            locust.exited.then(() => others.forEach((child) => child.kill("SIGKILL")));
            await release();
          },
        });
      };
      return { ...load, start };
    };
    return services;
  }
}

/** Programs of others, each of which takes a core; the kernel ends them if nobody else does. */
function startBurners(count: number): Deno.ChildProcess[] {
  return Array.from({ length: count }, () =>
    new Deno.Command("sh", {
      args: ["-c", "ulimit -t 30; while :; do :; done"],
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn());
}

/**
 * Has each new post counted by a trigger, in one row for all or in one for each author, and holds
 * the row for a while as a longer transaction would.
 */
async function addCounter(
  { postgres }: RunServices,
  { rows, holdMs }: NonNullable<Injection["counter"]>,
): Promise<void> {
  const key = rows === "one" ? "0" : "new.author_id";
  const statements = `
    create table post_counts (author_id integer primary key, posts integer not null);
    insert into post_counts select generate_series(0, 10000), 0;
    create function count_post() returns trigger language plpgsql security definer as $$
    begin
      update post_counts set posts = posts + 1 where author_id = ${key};
      perform pg_sleep(${holdMs / 1000});
      return null;
    end $$;
    create trigger count_post after insert on posts for each row execute function count_post();
  `;
  await withConnection(postgres, (sql) => sql.unsafe(statements));
}

/**
 * Draws cases, each a scenario with one bottleneck in it, and runs each in turn with the same
 * scenario relieved of it. The truth of a case is what relief does, not what was meant by it.
 */
export async function benchVerdicts(options: BenchOptions): Promise<VerdictsResult> {
  const { full, engine: kind, seed, signal, log } = options;
  if (kind === "docker") {
    throw new UsageError(
      "Cannot run bench verdicts in Docker: it limits and loads what only the local engine gives away",
    );
  }
  await loadPolars();
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-bench-" });
  const result: VerdictsResult = { cases: 0, correct: 0, invalid: 0, confusion: {} };
  try {
    await using engine = new InjectingEngine(await setUp({ log, signal }), log, { signal });
    if (engine.limitsWarning !== null) {
      throw new PoolscopeError(`Cannot run bench verdicts: ${engine.limitsWarning}`);
    }
    const count = full ? { perBottleneck: CASES_PER_BOTTLENECK } : { all: DEFAULT_CASES };
    for (const one of drawCases(seededDraws(FIRST_SEED + seed), count)) {
      const own = join(folder, `case-${++result.cases}`);
      mkdirSync(own);
      const { verdict, gain, text } = await tryCase(one, {
        engine,
        folder: own,
        seed,
        full,
        signal,
      });
      const valid = one.truth === "load_limited" ? gain < MIN_RISE : gain >= MIN_RISE;
      const right = verdict === one.truth;
      if (!valid) result.invalid++;
      else {
        if (right) result.correct++;
        const row = result.confusion[one.truth] ??= {};
        row[verdict] = (row[verdict] ?? 0) + 1;
      }
      log(
        `${valid ? right ? "right" : "WRONG" : "invalid"}: ${one.truth} (${one.what}): ${text}; ` +
          `relief makes ×${gain.toFixed(2)}`,
      );
      rmSync(own, { recursive: true, force: true });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { ...result, ...(full ? {} : { partial: true }) };
}

/** Where a case is run. */
export interface CasePlace {
  engine: InjectingEngine;
  folder: string;
  seed: number;
  /** Whether reliefs are run twice too. */
  full: boolean;
  signal: AbortSignal;
}

/** What came of a case. */
interface CaseResult {
  verdict: Verdict;
  /** The largest of what its reliefs did to throughput, as a ratio. */
  gain: number;
  text: string;
}

/**
 * Runs limited and relieved in turn, so that a drift favours neither: A B … B A, or A B … A where time
 * is short.
 */
export async function tryCase(one: VerdictCase, place: CasePlace): Promise<CaseResult> {
  const trials = [one.limited, ...one.reliefs];
  const order = [...trials.keys(), ...(place.full ? [...trials.keys()].reverse() : [0])];
  const runs = trials.map((): RunSummary[] => []);
  for (const [i, trial] of order.entries()) {
    runs[trial]!.push(await tryTrial(trials[trial]!, i + 1, place));
  }
  // A run in which nothing was answered right counts as one answer in its window.
  const mean = (own: RunSummary[]) =>
    Math.exp(
      own.reduce((sum, { rps }) => sum + Math.log(Math.max(rps, 1 / WINDOW_S)), 0) / own.length,
    );
  const [limited, ...reliefs] = runs;
  const gain = Math.max(...reliefs.map((own) => mean(own) / mean(limited!)));
  const { verdict, evidence, confidence } = agreeOnVerdict(limited!)!;
  return { verdict, gain, text: `${verdict}, ${confidence}: ${evidence}` };
}

export async function tryTrial(
  { scenario, injection }: Trial,
  round: number,
  { engine, folder, seed, signal }: Omit<CasePlace, "full">,
): Promise<RunSummary> {
  engine.injection = injection;
  const plan: Plan = {
    name: "verdicts",
    purpose: "Known bottlenecks.",
    functionalCheck: true,
    rounds: 1,
    seed,
    warmUpS: WARM_UP_S,
    windowS: WINDOW_S,
    scenarios: [scenario],
  };
  const planned = { id: scenarioId(scenario), scenario, round, order: round };
  using events = new EventLog(join(folder, "events.jsonl"));
  await runScenario(planned, {
    study: plan.name,
    folder,
    plan,
    engine,
    events,
    signal,
    machine: {
      gitCommit: null,
      host: { cpus: navigator.hardwareConcurrency, cpuModel: "", memoryMiB: 1, kernel: "" },
    },
  });
  return (await readRun(folder, planned))!.run;
}
