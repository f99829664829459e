/**
 * The options of `deno task run` and `deno task run-all`.
 *
 * @module
 */

import { Option } from "@commander-js/extra-typings";
import { UsageError } from "../errors.ts";
import { changePlan, namedPlan, PLAN_NAMES, type PlanChanges, planHash } from "../plan.ts";
import { ENGINES, type RunStudyOptions } from "../run_study.ts";
import { parseSetting, type Scenario } from "../scenario.ts";
import { SERVERS } from "../server_settings.ts";
import { describeSetting, type Setting, SETTING_PARTS, SETTINGS } from "../settings.ts";
import { studyFolder } from "../store/layout.ts";
import { listStudies, readPlan } from "../store/studies.ts";
import { list, repeated, taskCommand, toNumber } from "./options.ts";

/**
 * The command of `run` or `run-all`.
 *
 * @param task The task's name.
 */
export function studyCommand(task: "run" | "run-all") {
  const about = {
    "run": "Runs a study without notebooks.",
    "run-all": "Runs a study, executes the notebooks and writes the report.",
  };
  const plans = PLAN_NAMES.join(", ");
  return taskCommand(task, about[task])
    .option("--plan <name>", `${plans}, or a file.json (default: quick)`)
    .option("--study <name>", "name of the study (default: resume the plan, else a new one)")
    .option(
      "--framework <list>",
      "only these frameworks, by the names of their apps, with commas between them",
      list(String),
    )
    .option("--app <list>", "the plan's cells for these apps: names, or paths", list(String))
    .option("--path <list>", "only this path: direct or pooled", list(String))
    .option("--users <list>", "these numbers of users, such as 100,500", list(toNumber))
    .option("--arrival-rate <list>", "open loop: requests due per second", list(toNumber))
    .option(
      "--set <key=value>",
      "a setting for every scenario, such as postgres.work_mem=8MB; repeatable",
      (text, before?: Partial<Scenario>) => ({ ...before, ...parseSetting(text) }),
    )
    .option("--rounds <n>", "passes over all scenarios", toNumber)
    .option("--max-rounds <n>", "up to so many where a comparison stays undecided", toNumber)
    .option("--warm-up <s>", "seconds before the measurement window", toNumber)
    .option("--window <s>", "seconds of the measurement window", toNumber)
    .option("--no-open-loop", "without the open loop that follows at equal arrival rates")
    .option("--seed <n>", "seed of the order and of the load", toNumber)
    .addOption(new Option("--engine <name>", "auto: Docker where it answers").choices(ENGINES))
    .option("--docker-host <url>", "where Docker listens, such as tcp://host:2376")
    .option("--confirm", "relieve what limited each scenario, and see whether throughput rises")
    .option("--retry-failed", "run failed runs again")
    .option("--notebook <file>", "run-all: a notebook of yours to execute as well", repeated)
    .option("--json", "events as JSON lines on stdout, lines for people on stderr");
}

/** The settings that `--set` takes, a line each by what they are of, for the tasks' help. */
export function settingsHelp(): string {
  const rows = Object.entries(SETTINGS as Record<string, Setting>);
  const parts = Object.entries(SETTING_PARTS).map(([part, title]) => {
    const lines = rows.filter(([, { of, level }]) => of === part && !level).map(([name, row]) => {
      const given = row.default === undefined ? "" : ` (default: ${row.default ?? "none"})`;
      return `  ${name.padEnd(28)}  ${describeSetting(row).replace(/\.$/, "")}${given}`;
    });
    return [`${title}:`, ...lines].join("\n");
  });
  const own = Object.entries(SERVERS).map(([server, title]) =>
    `  ${`${server}.NAME`.padEnd(28)}  any setting of ${title} by its own name`
  );
  return [
    "Settings for --set; docs/settings.md says what values they take.",
    ...parts,
    [
      "Settings by the servers' own names:",
      ...own,
    ].join("\n"),
  ].join("\n\n");
}

/** What was given on the command line of `run` or `run-all`. */
type Given = ReturnType<ReturnType<typeof studyCommand>["opts"]>;

/**
 * What a command line asks for.
 *
 * @throws {UsageError} If options do not go together, or not with the named study.
 */
export function toStudyOptions(task: "run" | "run-all", given: Given): RunStudyOptions {
  const { plan, study, engine, dockerHost, retryFailed } = given;
  const changes: PlanChanges = {
    frameworks: given.framework,
    apps: given.app,
    paths: given.path,
    users: given.users,
    arrivalRates: given.arrivalRate,
    settings: given.set,
    rounds: given.rounds,
    maxRounds: given.maxRounds,
    warmUpS: given.warmUp,
    windowS: given.window,
    seed: given.seed,
    ...(given.openLoop ? {} : { openLoop: false }),
  };
  if (task === "run" && given.notebook !== undefined) {
    throw new UsageError("Cannot use --notebook with run: it executes none; use run-all");
  }
  if (study !== undefined && listStudies().includes(study)) {
    // A notebook may open a study of any plan; a command that names one means that one.
    const asked = changePlan(
      plan === undefined ? readPlan(studyFolder(study)) : namedPlan(plan),
      changes,
    );
    if (planHash(asked) !== planHash(readPlan(studyFolder(study)))) {
      throw new UsageError(
        `Cannot use --study "${study}": it was made with another plan, filter or setting; choose another name, or leave those options out`,
      );
    }
  }
  return { plan, study, changes, engine, dockerHost, retryFailed };
}
