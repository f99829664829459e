/** What each single choice brings, in sentences and in a table. */

import { effectLabel } from "../figures/ratio.ts";
import { type Effect, shownEffects } from "../stats/effects.ts";
import { effectWords as say } from "../wording/effects.ts";
import { formatInterval, formatMs, formatRatio, formatRatioEnd } from "../wording/format.ts";
import { levelLabel } from "../scenario.ts";
import { momentsOf } from "../stats/interval.ts";
import type { ScenarioSummary } from "../stats/summary.ts";
import { cpuPerAnswer } from "../stats/telemetry.ts";
import { checkWords } from "../wording/study.ts";
import { type ColumnOf, Markdown, numeric, right, type Table, tableOf } from "./display.ts";
import type { Study } from "./study.ts";
import { unlessCheck } from "./tables.ts";

function lineOf(effect: Effect): string {
  const { ratio, addedMs } = effect;
  return say.line(
    effectLabel(effect),
    `${formatRatio(ratio!.value)} ${formatInterval(ratio!, formatRatioEnd)}`,
    addedMs && say.added(formatMs(Math.abs(addedMs.value)), addedMs.value > 0),
  );
}

/** What the choices of a study bring: those that make a difference, the largest first, then the others. */
export function readEffects(study: Study): Markdown {
  const { effects, context } = study;
  if (effects.length === 0) return new Markdown(say.notTried);
  if (context.functionalCheck) return new Markdown(checkWords.reading(say.measure));
  const shown = shownEffects(effects);
  const others = effects.filter((one) => !shown.includes(one));
  return new Markdown(
    [...shown.map(lineOf), ...(others.length === 0 ? [] : [say.others(others.map(effectLabel))])]
      .join("\n"),
  );
}

const COLUMNS: ColumnOf<Effect>[] = [
  ["choice", effectLabel],
  right("throughput", ({ ratio }) => ratio && formatRatio(ratio.value)),
  right("95% interval", ({ ratio }) => ratio && formatInterval(ratio, formatRatioEnd)),
  numeric("added ms per request", ({ addedMs }) => addedMs?.value ?? null, formatMs),
  right("95% interval, ms", ({ addedMs }) => addedMs && formatInterval(addedMs, formatMs)),
  numeric("blocks", ({ blocks }) => blocks),
  ["", ({ verdict, missing }) => missing ?? say.verdict[verdict]],
];

const SERVICES = ["app", "pgbouncer", "postgres"];

/** Seconds of a service's CPU time that 1,000 answers took, on average over the runs that count. */
function cpuPerThousand({ runs }: Study, { scenarioId }: ScenarioSummary, service: string) {
  const seconds = runs.filter((run) => run.scenarioId === scenarioId && run.status === "ok")
    .flatMap((run) => cpuPerAnswer(run, service) ?? []);
  return seconds.length === 0 ? null : 1000 * momentsOf(seconds).mean;
}

/** What 1,000 requests cost each service of each arm: where a choice takes its time from. */
export function cpuPerRequestTable(study: Study): Table {
  const table = tableOf(say.cpuTable, study.scenarios, [
    ["arm", ({ arm }) => arm],
    right("load", levelLabel),
    ...SERVICES.map((service) =>
      numeric<ScenarioSummary>(
        say.cpuOf(service),
        (one) => cpuPerThousand(study, one, service),
        (seconds) => seconds.toFixed(2),
      )
    ),
  ]);
  return unlessCheck(study, say.cpuTable, table);
}

/** Every choice that is compared, all else equal. */
export function effectTable(study: Study): Table {
  return unlessCheck(study, say.table, tableOf(say.table, study.effects, COLUMNS));
}
