/** Ratios of throughput, one row for each comparison. */

import * as Plot from "@observablehq/plot";
import { appTitle } from "../apps/folders.ts";
import { levelLabel, type LoadLevel } from "../scenario.ts";
import { NOT_RUN_YET } from "../stats/comparisons.ts";
import { type Effect, shownEffects } from "../stats/effects.ts";
import type { ArmRatio, PathRatio, ThroughputRatio } from "../stats/summary.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { effectWords } from "../wording/effects.ts";
import { axisWords, captionWords, figureTitles, legendWords } from "../wording/figures.ts";
import { formatInterval, formatRatio, formatRatioEnd } from "../wording/format.ts";
import {
  FAILED,
  framed,
  gridLines,
  INK,
  LABELS,
  MUTED,
  numbers,
  OUTCOME_STYLE,
  PATH_STYLE,
  rowLabels,
  textWidth,
} from "./style.ts";
import { claimOf, pairName, verdictOf, whatFailed } from "./claims.ts";
import { composeFigure, drawPlot, type Figure, type LegendEntry } from "./figure.ts";
import { caption, type FigureOptions, noticeFigure, THROUGHPUT } from "./options.ts";

interface RatioKind<R extends ThroughputRatio> {
  /** The title where there is no ratio. */
  none: string;
  claim: (ratios: readonly R[]) => string;
  subtitle: string;
  /** Which way is faster, and in whose colour. */
  sides: Record<"higher" | "lower", { text: string; color: string }>;
  label: (ratio: R) => string;
  /** Why a comparison that ran has no ratio. */
  why: (ratio: R) => string;
  failures: (ratios: readonly R[]) => string[];
  note: (ratios: readonly R[]) => string | false;
}

/** What would not have been found: a band behind the interval. */
const BAND = "#e8ecf0";

function atLevel(name: string, level: LoadLevel): string {
  return `${name}, ${levelLabel(level).replace(" ", "\u00a0")}`;
}

/** A comparison of two arms in words: `Shop direct twice (A/A), 100 users`. */
export function armRatioLabel({ kind, baseArm, otherArm, ...level }: ArmRatio): string {
  const name = kind === "replica"
    ? claimWords.armTwice(baseArm)
    : claimWords.armOver(otherArm, baseArm);
  return atLevel(name, level);
}

function rowOf<R extends ThroughputRatio>(compared: R, i: number, kind: RatioKind<R>) {
  const { ratio, detectable, missing } = compared;
  const { value, low, high } = ratio ?? { value: null, low: null, high: null };
  const verdict = verdictOf(compared);
  const isClear = verdict === "higher" || verdict === "lower";
  const color = isClear ? kind.sides[verdict].color : MUTED;
  const spread = ratio && low !== null ? formatInterval(ratio, formatRatioEnd) : legendWords.oneRun;
  const why = missing === NOT_RUN_YET ? missing : kind.why(compared);
  return {
    key: String(i),
    label: kind.label(compared),
    value,
    low: low ?? value ?? 1,
    high: high ?? value ?? 1,
    least: detectable,
    most: detectable && 1 / detectable,
    color,
    fill: isClear ? color : "#fff",
    text: value === null ? why : `${formatRatio(value)} ${spread}`,
    ink: value === null ? FAILED : INK,
  };
}

type Row = ReturnType<typeof rowOf>;

/** Ticks that read as ratios: 0.5, 1, 2, … or finer where everything is near 1. */
function ratioTicks([low, high]: [number, number]): number[] {
  const all = high / low > 3
    ? [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    : [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.6, 1.8, 2, 2.5];
  return all.filter((tick) => tick >= low && tick <= high);
}

/** Where the axis ends: intervals more than fourfold beyond all values would flatten the rest. */
function domainOf(rows: readonly Row[]): [number, number] {
  const values = [1, ...rows.flatMap(({ value }) => value ?? [])];
  const low = Math.max(Math.min(...rows.map((row) => row.low), 0.85), Math.min(...values) / 4);
  const high = Math.min(Math.max(...rows.map((row) => row.high), 1.18), Math.max(...values) * 4);
  return [low / 1.1, high * 1.1];
}

/** The ratios with their intervals, what would have been found, and crosses where there is none. */
function ratioMarks(rows: Row[]): Plot.Markish[] {
  const band = { x1: "least", x2: "most", stroke: BAND, strokeWidth: 15 };
  const interval = { x1: "low", x2: "high", stroke: "color", strokeWidth: 2.5 };
  const dot = { x: "value", r: 5, fill: "fill", stroke: "color", strokeWidth: 2 };
  const cross = { ...OUTCOME_STYLE.failed, x: 1, r: 5, strokeWidth: 2 };
  const missing = rows.filter(({ value }) => value === null);
  const withInterval = rows.filter(({ low, high }) => high > low);
  return [
    Plot.ruleY(rows, { y: "key", ...band, ariaDescription: "not detectable" }),
    Plot.ruleX([1], { stroke: INK, strokeDasharray: "4 3", ariaDescription: "no difference" }),
    Plot.ruleY(withInterval, { y: "key", ...interval, ariaDescription: "interval" }),
    Plot.dot(rows, { y: "key", ...dot, ariaDescription: "ratio" }),
    Plot.dot(missing, { y: "key", ...cross, ariaDescription: "failed" }),
  ];
}

function drawForest(rows: Row[], { higher, lower }: RatioKind<never>["sides"]) {
  const labels = rowLabels(rows, 250);
  const domain = domainOf(rows);
  const ticks = ratioTicks(domain);
  const above = { ...LABELS, anchor: "top", ticks: [1], color: MUTED } as const;
  const beside = { anchor: "right", y: "key", text: "text", fill: "ink", fontSize: 13 } as const;
  const right = 14 + Math.max(...rows.map(({ text }) => textWidth(text, 13)), 110);
  const body = drawPlot({
    ...framed(labels.heightOf(26), [28, right, 26, 12 + labels.width]),
    x: { type: "log", domain, clamp: true },
    y: { domain: labels.keys, padding: 0.5, type: "point" },
    marks: [
      Plot.gridX(gridLines(ticks)),
      Plot.axisX({ ...numbers(ticks), text: (tick: number) => `${tick}×` }),
      Plot.axisX({ ...above, text: [lower.text], textAnchor: "end", dx: -8 }),
      Plot.axisX({ ...above, text: [higher.text], textAnchor: "start", dx: 8 }),
      Plot.axisY(labels.axis),
      Plot.axisY(rows, { ...LABELS, ...beside }),
      ...ratioMarks(rows),
    ],
  });
  return { body, isClipped: rows.some(({ low, high }) => low < domain[0] || high > domain[1]) };
}

function legendOf(ratios: readonly ThroughputRatio[]): LegendEntry[] {
  const claims = new Set(ratios.map(claimOf));
  const others = (["noisy", "open", "single"] as const).filter((claim) => claims.has(claim));
  const open = { r: 4.5, fill: "#fff", stroke: MUTED };
  const band = { label: legendWords.undetectable, mark: { symbol: "square", fill: BAND } };
  return [
    { label: legendWords.different, mark: { fill: INK } },
    { label: legendWords.anyOf(["indistinguishable", ...others]), mark: open },
    ...(ratios.some(({ detectable }) => detectable !== null) ? [band] : []),
  ];
}

function forestFigure<R extends ThroughputRatio>(
  ratios: readonly R[],
  kind: RatioKind<R>,
  { context, title }: Pick<FigureOptions, "context" | "title">,
): Figure {
  const notice = noticeFigure(ratios, kind.none, measureWords.throughput, context);
  if (notice !== null) return notice;
  const rows = ratios.map((ratio, i) => rowOf(ratio, i, kind));
  const { body, isClipped } = drawForest(rows, kind.sides);
  const made = ratios.filter(({ n }) => n > 0);
  const several = made.some(({ ratio }) => ratio?.low != null);
  const byBlock = made.some(({ blocks }) => blocks > 0);
  const hasBand = ratios.some(({ detectable }) => detectable !== null);
  return composeFigure({
    title: title ?? kind.claim(ratios),
    subtitle: kind.subtitle,
    legend: legendOf(ratios),
    body,
    failures: kind.failures(ratios.filter(({ missing }) => missing !== null)),
    caption: caption([
      made.length === 0 ? captionWords.noRound : captionWords.roundsPerRow(made),
      made.length > 0 && !several && captionWords.noRoundInterval,
      several && (byBlock ? captionWords.blockRatios : captionWords.roundRatios),
      several && captionWords.ratioInterval(
        context?.comparisons ?? ratios.length,
        made.some(({ isEarly }) => isEarly),
      ),
      made.some(({ starts }) => starts === 1) && captionWords.oneStart,
      several && hasBand && captionWords.band,
      kind.note(ratios),
      isClipped && captionWords.longSpread("interval"),
    ], context),
  });
}

const PATH_RATIOS: RatioKind<PathRatio> = {
  none: figureTitles.noPair,
  claim: THROUGHPUT.claim,
  subtitle: axisWords.pathRatio,
  sides: {
    higher: { text: legendWords.pooledHigher, color: PATH_STYLE.pooled.color },
    lower: { text: legendWords.pooledLower, color: PATH_STYLE.direct.color },
  },
  label: (ratio) => {
    const { label, reuse } = ratio;
    return atLevel(label.includes("reuse=") ? label : `${label}, ${reuse}`, ratio);
  },
  why: whatFailed,
  failures: (ratios) =>
    [...Map.groupBy(ratios, (pair) => `${pairName(pair)} ${pair.missing}`).values()]
      .map((pairs) =>
        claimWords.because(claimWords.cell(pairName(pairs[0]!), pairs), pairs[0]!.missing!)
      ),
  note: (ratios) => {
    const unequal = [...new Set(ratios.flatMap(({ differences }) => differences))];
    return unequal.length > 0 && captionWords.unequal(unequal);
  },
};

const ARM_RATIOS: RatioKind<ArmRatio> = {
  none: figureTitles.noOtherArm,
  claim: armClaim,
  subtitle: axisWords.armRatio,
  sides: {
    higher: { text: legendWords.faster, color: INK },
    lower: { text: legendWords.slower, color: INK },
  },
  label: armRatioLabel,
  why: () => claimWords.noCommonRound,
  failures: (ratios) =>
    ratios.map((ratio) => claimWords.because(armRatioLabel(ratio), ratio.missing!)),
  note: () => false,
};

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
    return own.every(({ ratio, open }) => ratio?.low != null && !open) ? words.alike : words.open;
  });
  return claimWords.clauses(claims);
}

/** What an effect is of, in words: `Shop: PgBouncer in between (per_request), 20 users`. */
export function effectLabel({ framework, choice, base, other, beside, ...level }: Effect): string {
  const words = effectWords.choice[choice];
  const named = words(String(base[choice]), String(other[choice]));
  const common = beside.flatMap((one) => effectWords.value[one](String(other[one])) ?? []);
  return atLevel(effectWords.label(appTitle(framework), named, common), level);
}

function effectClaim(effects: readonly Effect[]): string {
  const [largest] = shownEffects(effects);
  return largest === undefined
    ? effectWords.noneDiffers
    : effectWords.brings(effectLabel(largest), formatRatio(largest.ratio!.value));
}

const EFFECTS: RatioKind<Effect> = {
  none: effectWords.none,
  claim: effectClaim,
  subtitle: effectWords.subtitle,
  sides: ARM_RATIOS.sides,
  label: effectLabel,
  why: () => claimWords.noCommonRound,
  failures: (effects) => effects.map((one) => claimWords.because(effectLabel(one), one.missing!)),
  note: () => false,
};

/**
 * Throughput with each choice over throughput without it, all else equal.
 *
 * @param effects The `effects` of a study.
 * @param options The study itself will do.
 */
export function effectFigure(
  effects: readonly Effect[],
  options: Omit<FigureOptions, "ratios" | "runs"> = {},
): Figure {
  const { context, ...others } = options;
  const own = context && { ...context, comparisons: effects.length };
  return forestFigure(effects, EFFECTS, { ...others, context: own });
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
  return forestFigure(ratios, PATH_RATIOS, options);
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
  return forestFigure(ratios, ARM_RATIOS, options);
}
