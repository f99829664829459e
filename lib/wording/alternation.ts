/** What a study whose arms take turns may hide: each figure with its n, and what to do about it. */

import type { Estimate } from "../stats/summary.ts";
import {
  formatInterval,
  formatLimit,
  formatList,
  formatNumber,
  formatPercent,
  formatRatio,
  formatRatioEnd,
} from "./format.ts";
import { titleOf } from "./services.ts";

const NOT_ESTIMABLE = "not estimable";

/** A share to one digit, as `3.1%`: half of it can matter here. */
function shareOf(value: number): string {
  return `${(100 * value).toFixed(1)}%`;
}

/** `1.02× [0.98, 1.06], n = 42`. */
function factor(estimate: Estimate & { n: number }): string {
  const interval = formatInterval(estimate, formatRatioEnd);
  return `${formatRatio(estimate.value)} ${interval}, n = ${estimate.n}`;
}

/** Every sentence on turns, and the parts of their tables. */
export const alternationWords = {
  title: "What taking turns may hide",
  consecutive: "No arms took turns: each was measured by itself.",
  head:
    "Arms that take turns share a machine, and each of their slices is short. These figures bound what " +
    "that may do to the comparisons; no comparison is dropped for them.",
  noIdle: (limit: number) =>
    `- **Work in the others' turns**: no arm of which it could be read used more than ${
      formatLimit(limit)
    } of its CPU there.`,
  idle: (arms: readonly string[], limit: number) =>
    `- **Work in the others' turns**: ${formatList(arms)}. Above ${
      formatLimit(limit)
    } this slows ` +
    "the others down. Find what it does while it is idle, or measure it with nothing beside it " +
    "(`--design consecutive`).",
  idleArm: (arm: string, share: number, service: string) =>
    `${arm} used ${shareOf(share)} of its CPU there, most of it ${titleOf(service)}`,
  small: (pairs: readonly string[]) =>
    `- **Carry-over from one turn to the next**: small beside the interval of ${
      formatList(pairs)
    }.`,
  open: (pairs: readonly string[]) =>
    "- **Carry-over from one turn to the next**: not seen, but not ruled out. It could change " +
    `${formatList(pairs)}. More minutes (\`--minutes\`) bound it closer; longer slices ` +
    "(`--window`) make it smaller.",
  seen: (pairs: readonly string[]) =>
    "- **Carry-over from one turn to the next**: what a slice follows changes " +
    `${formatList(pairs)}. Measure again with longer slices (\`--window\`).`,
  pair: (pair: string, bound: number, halfWidth: number) =>
    `${pair} by up to ${shareOf(bound)}, where its interval reaches ${
      shareOf(halfWidth)
    } either way`,
  settled: (limit: number, arms: readonly string[] | null) =>
    `- **Slices settle**: late halves differ from early ones by at most ${formatLimit(limit)}` +
    (arms === null ? ", of all arms." : `, of ${formatList(arms)}.`),
  maySettle: (arms: readonly string[], limit: number) =>
    `- **Slices may not settle**: a difference of more than ${formatLimit(limit)} between halves ` +
    `is not ruled out. ${formatList(arms)}. More minutes (\`--minutes\`) bound it closer; longer ` +
    "slices (`--window`) make it smaller.",
  unsettled: (arms: readonly string[]) =>
    `- **Slices do not settle**: ${formatList(arms)}. What is measured is partly the start of ` +
    "each slice: use longer slices (`--window`).",
  halvesOfArm: (arm: string, late: Estimate) =>
    `${arm} answers ${formatPercent(Math.abs(late.value - 1))} ${
      late.value > 1 ? "more" : "less"
    } ` +
    `in the second half of a slice ${formatInterval(late, formatRatioEnd)}`,
  unknown: {
    idle: (arms: readonly string[]) =>
      `- **Work in the others' turns** is ${NOT_ESTIMABLE} for ${
        formatList(arms)
      }: the others' turns ` +
      "are shorter than the two seconds between which CPU is read.",
    carryOver: (pairs: readonly string[]) =>
      `- **Carry-over from one turn to the next** is ${NOT_ESTIMABLE} for ${
        formatList(pairs)
      }: too few blocks, and so too few slices of an arm that follow its own.`,
    late: (arms: readonly string[]) =>
      `- **Whether slices settle** is ${NOT_ESTIMABLE} for ${formatList(arms)}: too few blocks.`,
  },
  over: (other: string, base: string) => `${other} over ${base}`,
  none: NOT_ESTIMABLE,
  mark: (text: string, isMarked: boolean) => isMarked ? `${text} ⚠` : text,
  factor,
  share: shareOf,
  ofSeconds: (share: number, seconds: number) =>
    `${shareOf(share)}, n = ${formatNumber(seconds)} s`,
  states: { small: "small beside the interval", open: "not ruled out", seen: "shows" },
  armsCaption: (idle: number, late: number) =>
    `Arms in their turns and outside of them; 95% t intervals, those of halves together; ⚠ marks ` +
    `above ${formatLimit(idle)} of CPU in the others' turns, and halves that differ by more than ${
      formatLimit(late)
    }`,
  pairsCaption: (share: number) =>
    "What carry-over does to each ratio: slices that follow another arm's, beside those that follow " +
    "their own arm's; intervals together, n counts blocks; not ruled out " +
    `where its bound is above ${formatLimit(share)} of the ratio's half-width, ⚠ where it shows`,
  columns: {
    idle: "CPU in the others' turns, of that in its own",
    first: "throughput, first in its block over later",
    late: "throughput, second half of a slice over first",
    effect: "effect on the ratio",
    bound: "at most",
    halfWidth: "the ratio's half-width",
    state: "says",
  },
} as const;
