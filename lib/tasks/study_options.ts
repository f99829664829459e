/**
 * The options of `deno task run` and `deno task run-all`.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { changePlan, namedPlan, PLAN_NAMES, type PlanChanges, planHash } from "../plan.ts";
import { ENGINES, type RunStudyOptions } from "../run_study.ts";
import { parseSetting, type Scenario } from "../scenario.ts";
import { studyFolder } from "../store/layout.ts";
import { listStudies, readPlan } from "../store/studies.ts";
import { choiceOption, numberOption, parseOptions } from "./cli.ts";

/** Options of `run` and `run-all`, for their help and for {@linkcode parseStudyOptions}. */
const STUDY_OPTIONS: Record<string, { value: string; help: string }> = {
  plan: { value: "NAME", help: `${PLAN_NAMES.join(", ")}, or a file.json (default quick)` },
  study: { value: "NAME", help: "name of the study (default: resume the plan, else a new one)" },
  framework: { value: "LIST", help: "only these frameworks, such as django,flask" },
  path: { value: "LIST", help: "only this path: direct or pooled" },
  users: { value: "LIST", help: "these numbers of users, such as 100,500" },
  "arrival-rate": { value: "LIST", help: "open loop: requests due per second, such as 50,80" },
  set: { value: "KEY=VALUE", help: "a setting for every scenario, such as reuse=per_request" },
  rounds: { value: "N", help: "passes over all scenarios" },
  "max-rounds": { value: "N", help: "up to so many where a comparison stays undecided" },
  "warm-up": { value: "S", help: "seconds before the measurement window" },
  window: { value: "S", help: "seconds of the measurement window" },
  "no-open-loop": { value: "", help: "without the open loop that follows at equal arrival rates" },
  seed: { value: "N", help: "seed of the order and of the load" },
  engine: { value: "NAME", help: `${ENGINES.join(", ")} (auto: Docker where it answers)` },
  "docker-host": { value: "URL", help: "where Docker listens, such as tcp://host:2376" },
  confirm: {
    value: "",
    help: "relieve what limited each scenario, and see whether throughput rises",
  },
  "retry-failed": { value: "", help: "run failed runs again" },
  notebook: { value: "FILE", help: "run-all: a notebook of yours to execute as well" },
  json: { value: "", help: "events as JSON lines on stdout, lines for people on stderr" },
};

/**
 * The help of `run` and `run-all`.
 *
 * @param task The task's name.
 */
export function studyUsage(task: string): string {
  const lines = Object.entries(STUDY_OPTIONS).map(([name, { value, help }]) =>
    `  ${`--${name} ${value}`.padEnd(20)} ${help}`
  );
  return [`Usage: deno task ${task} [options]`, "", ...lines].join("\n");
}

/**
 * The options of `run` and `run-all`.
 *
 * @returns What to run.
 * @throws {UsageError} If an option is unknown or its value is not one.
 */
export function parseStudyOptions(
  task: string,
  args: string[],
): RunStudyOptions & { json: boolean; confirm: boolean; furtherNotebooks?: string[] } {
  const { values } = parseOptions(args, {
    plan: { type: "string" },
    study: { type: "string" },
    framework: { type: "string", multiple: true },
    path: { type: "string", multiple: true },
    users: { type: "string", multiple: true },
    "arrival-rate": { type: "string", multiple: true },
    set: { type: "string", multiple: true },
    rounds: { type: "string" },
    "max-rounds": { type: "string" },
    "warm-up": { type: "string" },
    window: { type: "string" },
    seed: { type: "string" },
    engine: { type: "string" },
    "docker-host": { type: "string" },
    "no-open-loop": { type: "boolean" },
    confirm: { type: "boolean", default: false },
    "retry-failed": { type: "boolean" },
    notebook: { type: "string", multiple: true },
    json: { type: "boolean", default: false },
  });
  const list = (texts: string[] | undefined) => texts?.flatMap((text) => text.split(","));
  const toNumber = (text: string) => text.trim() === "" ? NaN : Number(text);
  const number = (name: "rounds" | "max-rounds" | "warm-up" | "window" | "seed") =>
    numberOption(name, values[name]);
  const settings: Partial<Scenario> = Object.assign({}, ...(values.set ?? []).map(parseSetting));
  const changes: PlanChanges = {
    frameworks: list(values.framework),
    paths: list(values.path),
    users: list(values.users)?.map(toNumber),
    arrivalRates: list(values["arrival-rate"])?.map(toNumber),
    settings,
    rounds: number("rounds"),
    maxRounds: number("max-rounds"),
    warmUpS: number("warm-up"),
    windowS: number("window"),
    seed: number("seed"),
    ...(values["no-open-loop"] ? { openLoop: false } : {}),
  };
  const engine = choiceOption("engine", values.engine, ENGINES);
  const { plan, study, json, confirm, "retry-failed": retryFailed, "docker-host": dockerHost } =
    values;
  const furtherNotebooks = values.notebook;
  if (task === "run" && furtherNotebooks !== undefined) {
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
  return {
    plan,
    study,
    changes,
    engine,
    dockerHost,
    retryFailed,
    confirm,
    json,
    furtherNotebooks,
  };
}
