/** Which pool size does, in sentences and in a table. */

import { describeChoice, familyName } from "../figures/pool_sizes.ts";
import { TOLERATED_LOSS } from "../stats/best.ts";
import { LEAST_SIZES, type PoolSize, type PoolSizes } from "../stats/pool_sizes.ts";
import {
  capitalise,
  formatInterval,
  formatMean,
  formatMs,
  formatPercent,
} from "../wording/format.ts";
import { poolSizeWords as say } from "../wording/pool_sizes.ts";
import { checkWords } from "../wording/study.ts";
import { type ColumnOf, Markdown, numeric, right, Table, tableOf } from "./display.ts";
import type { Study } from "./study.ts";
import { unlessCheck } from "./tables.ts";

/** What it is that a choice says, and why. */
function explainChoice({ sizes, selection, starts, blocks }: PoolSizes): string {
  if (selection === null) return say.isUnknown;
  const why = selection.isFlat
    ? say.isFlat(TOLERATED_LOSS)
    : selection.smallest === null
    ? say.isOpen(TOLERATED_LOSS)
    : say.isSmallest(TOLERATED_LOSS);
  return `${why} (${say.tested(sizes.map(({ size }) => size), blocks, starts)})`;
}

/** The least that a pool can be, and how many of these PostgreSQL has room for. */
function limitsOf({ sizes, selection }: PoolSizes, study: Study): string[] {
  const unhindered = sizes.at(-1)!;
  const size = selection?.smallest == null ? null : sizes[selection.smallest]!.size;
  const scenario = study.scenarios.find((one) => one.scenarioId === unhindered.scenarioId)
    ?.scenario;
  const room = scenario === undefined || size === null
    ? null
    : Math.floor(scenario.maxConnections / size);
  return [
    ...(unhindered.meanActive === null ? [] : [say.needed(formatMean(unhindered.meanActive))]),
    ...(room === null || room < 1 ? [] : [say.ownPool(scenario!.maxConnections, size!, room)]),
  ];
}

function headlineOf(family: PoolSizes): string {
  const line = say.headline(familyName(family), describeChoice(family));
  return `${line} ${explainChoice(family)}.`;
}

/** Which pool size does for each app, for the top of an answer. */
export function poolSizeHeadlines({ poolSizes }: Study): string[] {
  return poolSizes.map(headlineOf);
}

/** Which pool size does, and what it rests on. */
export function readPoolSizes(study: Study): Markdown {
  if (study.poolSizes.length === 0) return new Markdown(say.notTried(LEAST_SIZES));
  if (study.context.functionalCheck) return new Markdown(checkWords.reading(say.measure));
  const lines = study.poolSizes.map((family) => {
    const limits = limitsOf(family, study);
    const rest = limits.length === 0 ? "" : ` ${capitalise(limits.join("; "))}.`;
    return headlineOf(family) + rest;
  });
  return new Markdown(lines.join("\n"));
}

type Row = PoolSize & { family: PoolSizes };

const COLUMNS: ColumnOf<Row>[] = [
  ["app", ({ family }) => familyName(family)],
  right("default_pool_size", ({ size }) => size),
  numeric("RPS", ({ rps }) => rps),
  right("share of the best", ({ beside }) => beside && formatPercent(beside.share.value)),
  right("95% interval", ({ beside }) => beside && formatInterval(beside.share, formatPercent)),
  numeric("loses at most 5%", ({ beside }) => beside?.probability, formatPercent),
  numeric("most in use", ({ mostActive }) => mostActive),
  numeric("mean in use", ({ meanActive }) => meanActive, formatMean),
  numeric("wait ms", ({ waitMs }) => waitMs, formatMs),
];

/** Every pool size that was tried, beside the best one of its app and load. */
export function poolSizeTable(study: Study): Table {
  const rows = study.poolSizes.flatMap((family) => family.sizes.map((one) => ({ ...one, family })));
  return unlessCheck(study, say.table, tableOf(say.table, rows, COLUMNS));
}
