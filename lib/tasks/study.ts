/** What `deno task run` and `deno task run-all` do, and their options. */

import { Option } from "@commander-js/extra-typings";
import { UsageError } from "../errors.ts";
import { exportStudy } from "../export_study.ts";
import { chooseNotebooks } from "../notebooks/notebook.ts";
import { changePlan, DESIGNS, namedPlan, PLAN_NAMES, type PlanChanges, planHash } from "../plan.ts";
import {
  ENGINES,
  runConfirmation,
  runOpenLoop,
  runStudy,
  type RunStudyOptions,
} from "../run_study.ts";
import { parseSetting, type Scenario } from "../scenario.ts";
import { SERVERS } from "../server_settings.ts";
import { describeSetting, settingParts } from "../settings.ts";
import { studyFolder } from "../store/layout.ts";
import { listStudies, readPlan } from "../store/studies.ts";
import { reportStatus } from "./exit_status.ts";
import { list, repeated, runTaskCommand, taskCommand, toNumber } from "./options.ts";
import { TerminalView } from "./terminal.ts";

const ABOUT = {
  "run": "Runs a study without notebooks.",
  "run-all": "Runs a study, executes the notebooks and writes the report.",
};

/** A study, what follows it, and its report; `run-all` executes the notebooks as well. */
export function runStudyTask(task: keyof typeof ABOUT): Promise<never> {
  return runTaskCommand(studyCommand(task), async ({ options, signal }) => {
    const { json, confirm, notebook: furtherNotebooks } = options;
    if (task === "run" && furtherNotebooks !== undefined) {
      throw new UsageError("Cannot use --notebook with run: it executes none; use run-all");
    }
    const study = toStudyOptions(options);
    // What cannot be executed is found out before anything is measured.
    await chooseNotebooks(furtherNotebooks);
    using view = new TerminalView({ json });
    const shared = { signal, onEvent: view.show };
    // Here, a name that no study has yet is that of a new one.
    const results = await runStudy({ ...study, ...shared, start: true });
    await runOpenLoop(results, { ...study, ...shared });
    if (confirm && await runConfirmation(results, { ...study, ...shared }) === null) {
      view.line("Nothing to confirm: no setting relieves what limited any scenario");
    }
    await exportStudy(results, { ...shared, notebooks: task === "run-all", furtherNotebooks });
    return reportStatus(results.runs);
  }, { helpBelow: settingsHelp() });
}

function studyCommand(task: keyof typeof ABOUT) {
  return taskCommand(task, ABOUT[task])
    .option("--plan <name>", `${PLAN_NAMES.join(", ")}, or a file.json (default: frameworks)`)
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
    .option("--pool-sizes <list>", "choose from these default_pool_sizes", list(toNumber))
    .option(
      "--set <key=value>",
      "a setting for every scenario, such as postgres.work_mem=8MB; repeatable",
      (text, before?: Partial<Scenario>) => ({ ...before, ...parseSetting(text) }),
    )
    .option("--rounds <n>", "passes over all scenarios, each with a start of its own", toNumber)
    .option("--max-rounds <n>", "up to so many where a comparison stays undecided", toNumber)
    .addOption(
      new Option("--design <name>", "alternating: compared arms stand side by side and take turns")
        .choices(DESIGNS),
    )
    .option("--minutes <m>", "about how long an alternating study takes in all", toNumber)
    .option(
      "--warm-up <s>",
      "seconds before the measurement, where arms take turns the least",
      toNumber,
    )
    .option("--window <s>", "seconds of the measurement window, or of a turn", toNumber)
    .option("--no-open-loop", "without the open loop that follows at equal arrival rates")
    .option("--seed <n>", "seed of the order and of the load", toNumber)
    .addOption(new Option("--engine <name>", "auto: Docker where it answers").choices(ENGINES))
    .option("--docker-host <url>", "where Docker listens, such as tcp://host:2376")
    .option("--confirm", "relieve what limited each scenario, and see whether throughput rises")
    .option("--retry-failed", "run failed runs again")
    .option("--notebook <file>", "run-all: a notebook of yours to execute as well", repeated)
    .option("--json", "events as JSON lines on stdout, lines for people on stderr");
}

/** The settings that `--set` takes, a line each by what they are of. */
function settingsHelp(): string {
  const line = (name: string, text: string) => `  ${name.padEnd(28)}  ${text}`;
  const parts = settingParts().map(([title, rows]) => {
    const lines = rows.filter(([, { level }]) => !level).map(([name, row]) => {
      const given = row.default === undefined ? "" : ` (default: ${row.default ?? "none"})`;
      return line(name, describeSetting(row).replace(/\.$/, "") + given);
    });
    return [`${title}:`, ...lines].join("\n");
  });
  const own = Object.entries(SERVERS)
    .map(([server, title]) => line(`${server}.NAME`, `any setting of ${title} by its own name`));
  return [
    "Settings for --set; docs/settings.md says what values they take.",
    ...parts,
    ["Settings by the servers' own names:", ...own].join("\n"),
  ].join("\n\n");
}

/** What a command line asks for; it is refused where its options do not go with the named study. */
function toStudyOptions(
  given: ReturnType<ReturnType<typeof studyCommand>["opts"]>,
): RunStudyOptions {
  const { plan, study, engine, dockerHost, retryFailed } = given;
  const changes: PlanChanges = {
    frameworks: given.framework,
    apps: given.app,
    paths: given.path,
    users: given.users,
    arrivalRates: given.arrivalRate,
    poolSizes: given.poolSizes,
    settings: given.set,
    rounds: given.rounds,
    maxRounds: given.maxRounds,
    warmUpS: given.warmUp,
    windowS: given.window,
    design: given.design,
    minutes: given.minutes,
    seed: given.seed,
    openLoop: given.openLoop ? undefined : false,
  };
  if (study !== undefined && listStudies().includes(study)) {
    // A notebook may open a study of any plan; a command that names one means that one.
    const frozen = readPlan(studyFolder(study));
    const asked = changePlan(plan === undefined ? frozen : namedPlan(plan), changes);
    if (planHash(asked) !== planHash(frozen)) {
      throw new UsageError(
        `Cannot use --study "${study}": it was made with another plan, filter or setting; choose another name, or leave those options out`,
      );
    }
  }
  return { plan, study, changes, engine, dockerHost, retryFailed };
}
