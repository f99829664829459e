/**
 * Ratios of throughput, one row for each comparison.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import { levelLabel } from "../scenario.ts";
import { NOT_RUN_YET } from "../stats/comparisons.ts";
import type { StudyContext } from "../stats/context.ts";
import type { ArmRatio, PathRatio, ThroughputRatio } from "../stats/summary.ts";
import { rowLabels, TICK_BELOW } from "./axes.ts";
import {
  claimOf,
  pairName,
  pathClaim,
  throughputComparisons,
  verdictOf,
  whatFailed,
} from "./claims.ts";
import {
  BODY_WIDTH,
  composeFigure,
  type Drawing,
  drawPlot,
  type Figure,
  type LegendEntry,
} from "./figure.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { axisWords, captionWords, figureTitles, legendWords } from "../wording/figures.ts";
import { formatInterval, formatRatio, formatRatioEnd } from "../wording/format.ts";
import { caption, checkFigure, emptyFigure, type FigureOptions } from "./options.ts";
import { FAILED, GRID, INK, MUTED, PATH_STYLE } from "./theme.ts";
import { textWidth } from "./text.ts";

/** A comparison and how its row is labelled. */
interface Compared {
  ratio: ThroughputRatio;
  key: string;
  label: string;
  /** What stands in a row without a ratio. */
  missing: string;
}

interface Row {
  key: string;
  value: number;
  low: number;
  high: number;
  /** The least ratios that would have been found; null where nothing would. */
  found: { low: number; high: number } | null;
  clear: boolean;
  color: string;
  text: string;
}

/** Which way is faster, and in whose colour. */
interface Directions {
  higher: { text: string; color: string };
  lower: { text: string; color: string };
}

const PATH_DIRECTIONS: Directions = {
  higher: { text: legendWords.pooledHigher, color: PATH_STYLE.pooled.color },
  lower: { text: legendWords.pooledLower, color: PATH_STYLE.direct.color },
};
const ARM_DIRECTIONS: Directions = {
  higher: { text: legendWords.faster, color: INK },
  lower: { text: legendWords.slower, color: INK },
};

const ROW_HEIGHT = 26;
/** What would not have been found: a band behind the interval. */
const BAND = "#e8ecf0";

function labelOf(ratio: PathRatio): string {
  const { label, reuse } = ratio;
  const name = label.includes("reuse=") ? label : `${label}, ${reuse}`;
  return `${name}, ${levelLabel(ratio).replace(" ", "\u00a0")}`;
}

/** A comparison of two arms in words: `Shop direct twice (A/A), 100 users`. */
export function armRatioLabel({ kind, baseArm, otherArm, ...level }: ArmRatio): string {
  const name = kind === "replica"
    ? claimWords.armTwice(baseArm)
    : claimWords.armOver(otherArm, baseArm);
  return `${name}, ${levelLabel(level).replace(" ", "\u00a0")}`;
}

function rowsOf(compared: readonly Compared[], directions: Directions): Row[] {
  return compared.flatMap(({ ratio: { ratio, detectable, ...rest }, key }) => {
    if (ratio === null) return [];
    const { value, low, high } = ratio;
    const verdict = verdictOf(rest);
    const clear = verdict === "higher" || verdict === "lower";
    return [{
      key,
      value,
      low: low ?? value,
      high: high ?? value,
      found: detectable === null ? null : { low: detectable, high: 1 / detectable },
      clear,
      color: clear ? directions[verdict].color : MUTED,
      text: `${formatRatio(value)} ${
        low === null ? legendWords.oneRun : formatInterval(ratio, formatRatioEnd)
      }`,
    }];
  });
}

/** Ticks that read as ratios: 0.5, 1, 2, … or finer where everything is near 1. */
function ratioTicks(low: number, high: number): number[] {
  const all = high / low > 3
    ? [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    : [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.6, 1.8, 2, 2.5];
  return all.filter((tick) => tick >= low && tick <= high);
}

/** Where the axis ends: intervals more than fourfold beyond all values would flatten the rest. */
function domainOf(rows: readonly Row[]): { low: number; high: number } {
  const values = rows.map((row) => row.value);
  const low = Math.max(
    Math.min(...rows.map((row) => row.low), 0.85),
    Math.min(...values, 1) / 4,
  );
  const high = Math.min(
    Math.max(...rows.map((row) => row.high), 1.18),
    Math.max(...values, 1) * 4,
  );
  return { low: low / 1.1, high: high * 1.1 };
}

/** A text in each row, right of the plot. */
const BESIDE = {
  y: "key",
  frameAnchor: "right",
  textAnchor: "start",
  dx: 12,
  fontSize: 13,
} as const;

/** The ratios with their intervals. */
function ratioMarks(rows: Row[], within: (value: number) => number): Plot.Markish[] {
  return [
    Plot.ruleY(rows.filter((row) => row.high > row.low), {
      y: "key",
      x1: (row: Row) => within(row.low),
      x2: (row: Row) => within(row.high),
      stroke: "color",
      strokeWidth: 2.5,
      ariaDescription: "interval",
    }),
    Plot.dot(rows, {
      y: "key",
      x: "value",
      r: 5,
      fill: (row: Row) => row.clear ? row.color : "#fff",
      stroke: "color",
      strokeWidth: 2,
      ariaDescription: "ratio",
    }),
    Plot.text(rows, { ...BESIDE, text: "text", fill: INK }),
  ];
}

/** What stands in rows without a ratio. */
function missingMarks(missing: Compared[]): Plot.Markish[] {
  const crosses = { symbol: "times", r: 5, stroke: FAILED, strokeWidth: 2 } as const;
  return [
    Plot.dot(missing, { ...crosses, y: "key", x: () => 1, ariaDescription: "failed" }),
    Plot.text(missing, { ...BESIDE, text: "missing", fill: FAILED }),
  ];
}

/** Which way is faster, on both sides of the line of no difference. */
function directionMarks({ higher, lower }: Directions): Plot.Markish[] {
  return ([[higher, "start", 8], [lower, "end", -8]] as const).map(([{ text }, textAnchor, dx]) =>
    Plot.text([text], {
      x: () => 1,
      frameAnchor: "top",
      textAnchor,
      dx,
      dy: -18,
      text: (text: string) => text,
      fontSize: 12,
      fill: MUTED,
    })
  );
}

function drawForest(
  compared: readonly Compared[],
  directions: Directions,
): { body: Drawing; clipped: boolean } {
  const rows = rowsOf(compared, directions);
  const labels = rowLabels(new Map(compared.map(({ key, label }) => [key, label])), 250);
  const { low, high } = domainOf(rows);
  const within = (value: number) => Math.min(high, Math.max(low, value));
  const ticks = ratioTicks(low, high);
  const [marginTop, marginBottom] = [28, 26];
  const body = drawPlot({
    width: BODY_WIDTH,
    height: marginTop + marginBottom + compared.length * (ROW_HEIGHT + 15 * (labels.lines - 1)),
    marginTop,
    marginBottom,
    marginLeft: 12 + labels.width,
    marginRight: 14 + Math.max(...rows.map((row) => textWidth(row.text, 13)), 110),
    x: { type: "log", domain: [low, high], axis: null },
    y: { domain: compared.map(({ key }) => key), axis: null, padding: 0.5, type: "point" },
    color: { type: "identity" },
    marks: [
      Plot.ruleX(ticks, { stroke: GRID }),
      Plot.ruleY(rows.filter(({ found }) => found !== null), {
        y: "key",
        x1: (row: Row) => within(row.found!.low),
        x2: (row: Row) => within(row.found!.high),
        stroke: BAND,
        strokeWidth: 15,
        ariaDescription: "not detectable",
      }),
      Plot.ruleX([1], { stroke: INK, strokeDasharray: "4 3", ariaDescription: "no difference" }),
      // An axis mark would leave out labels of a logarithmic scale as it sees fit.
      Plot.text(ticks, {
        ...TICK_BELOW,
        x: (tick: number) => tick,
        dy: 17,
        text: (tick: number) => `${tick}×`,
        ariaDescription: "tick",
      }),
      labels.axis,
      ...directionMarks(directions),
      ...ratioMarks(rows, within),
      ...missingMarks(compared.filter(({ ratio }) => ratio.ratio === null)),
    ],
  });
  return { body, clipped: rows.some((row) => row.low < low || row.high > high) };
}

/** What the caption says of the method and its reach. */
function describeMethod(compared: readonly Compared[], context?: StudyContext): string[] {
  const rounds = compared.filter(({ ratio }) => ratio.n > 0).map(({ ratio }) => ratio.n);
  if (rounds.length === 0) return [captionWords.noRound];
  const n = captionWords.roundsPerRow(rounds);
  if (rounds.every((one) => one === 1)) return [n, captionWords.noRoundInterval];
  return [
    n,
    captionWords.roundRatios,
    captionWords.ratioInterval(context?.comparisons ?? compared.length),
    compared.some(({ ratio }) => ratio.detectable !== null) ? captionWords.band : [],
  ].flat();
}

function legendOf(compared: readonly Compared[]): LegendEntry[] {
  const claims = new Set(compared.map(({ ratio }) => claimOf(ratio)));
  const others = (["noisy", "open", "single"] as const).filter((claim) => claims.has(claim));
  return [
    { label: legendWords.different, color: INK, symbol: "circle" },
    {
      label: legendWords.anyOf(["indistinguishable", ...others]),
      color: MUTED,
      symbol: "ring",
    },
    ...(compared.some(({ ratio }) => ratio.detectable !== null)
      ? [{ label: legendWords.undetectable, color: BAND, symbol: "square" as const }]
      : []),
  ];
}

/**
 * Pooled over direct throughput for each framework and load, with the line of no difference. Filled
 * dots are differences, open ones are inside the noise; the band behind each says how large a
 * difference would have been found.
 *
 * @param ratios The ratios of a study.
 * @param options The study itself will do.
 */
export function ratioFigure(
  ratios: readonly PathRatio[],
  options: Omit<FigureOptions, "ratios" | "runs"> = {},
): Figure {
  if (ratios.length === 0) {
    return emptyFigure(figureTitles.noPair, options.context);
  }
  const check = checkFigure(measureWords.throughput, options.context);
  if (check !== null) return check;
  const compared = ratios.map((ratio) => ({
    ratio,
    key: `${ratio.direct} ${ratio.pooled}`,
    label: labelOf(ratio),
    missing: ratio.missing === NOT_RUN_YET ? ratio.missing : whatFailed(ratio),
  }));
  const { body, clipped } = drawForest(compared, PATH_DIRECTIONS);
  const unequal = [...new Set(ratios.flatMap((pair) => pair.differences))];
  const missing = Map.groupBy(
    ratios.filter((pair) => pair.missing !== null),
    (pair) => `${pairName(pair)} ${pair.missing}`,
  );
  return composeFigure({
    title: options.title ??
      pathClaim(measureWords.throughput, throughputComparisons(ratios)),
    subtitle: axisWords.pathRatio,
    legend: legendOf(compared),
    body,
    failures: [...missing.values()].map((pairs) =>
      claimWords.because(claimWords.cell(pairName(pairs[0]!), pairs), pairs[0]!.missing!)
    ),
    caption: caption(
      [
        ...describeMethod(compared, options.context),
        unequal.length === 0 ? [] : [captionWords.unequal(unequal)],
        clipped ? [captionWords.longSpread("interval")] : [],
      ].flat(),
      options.context,
    ),
  });
}

/** What copies and settings came to, as a title. */
function armClaim(ratios: readonly ArmRatio[]): string {
  const claims = (["settings", "replica"] as const).flatMap((kind) => {
    const own = ratios.filter((ratio) => ratio.kind === kind);
    if (own.length === 0) return [];
    const words = claimWords[kind];
    const different = own.filter(({ verdict }) => verdict === "higher" || verdict === "lower")
      .map(({ otherArm, verdict, ratio }) =>
        claimWords.armFaster(otherArm, verdict === "higher", ratio!.value)
      );
    if (different.length > 0) return words.different(different);
    return own.every(({ n, open }) => n > 1 && !open) ? words.alike : words.open;
  });
  return claimWords.clauses(claims);
}

/**
 * Throughput of copies (A/A) and of other settings over the arms that they are compared with. A copy
 * that came out different says that this study's verdicts are not to be trusted.
 *
 * @param ratios The `armRatios` of a study.
 * @param options The study itself will do.
 */
export function armRatioFigure(
  ratios: readonly ArmRatio[],
  options: Omit<FigureOptions, "ratios" | "runs"> = {},
): Figure {
  if (ratios.length === 0) {
    return emptyFigure(figureTitles.noOtherArm, options.context);
  }
  const check = checkFigure(measureWords.throughput, options.context);
  if (check !== null) return check;
  const compared = ratios.map((ratio) => ({
    ratio,
    key: `${ratio.base} ${ratio.other}`,
    label: armRatioLabel(ratio),
    missing: ratio.missing === NOT_RUN_YET ? ratio.missing : claimWords.noCommonRound,
  }));
  const { body, clipped } = drawForest(compared, ARM_DIRECTIONS);
  return composeFigure({
    title: options.title ?? armClaim(ratios),
    subtitle: axisWords.armRatio,
    legend: legendOf(compared),
    body,
    failures: ratios.filter(({ missing }) => missing !== null)
      .map((ratio) => claimWords.because(armRatioLabel(ratio), ratio.missing!)),
    caption: caption(
      [
        ...describeMethod(compared, options.context),
        clipped ? [captionWords.longSpread("interval")] : [],
      ].flat(),
      options.context,
    ),
  });
}
