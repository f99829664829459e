/** Numbers and lists in words, the same in figures, tables and sentences. */

import { type LoadLevel, loadLevels } from "../scenario.ts";
import type { Estimate } from "../stats/summary.ts";

const GROUPS = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/**
 * A number with three significant digits, or all digits before the point.
 *
 * @example
 * ```ts
 * import { formatNumber } from "poolscope";
 *
 * console.assert(formatNumber(1234.5) === "1,235" && formatNumber(0.01234) === "0.0123");
 * ```
 */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 100) return GROUPS.format(value);
  return String(Number(value.toPrecision(3)));
}

/** A number that may be a lower bound: `≥ 12`. */
export function formatBound(value: number, isBound: boolean): string {
  return (isBound ? "≥ " : "") + formatNumber(value);
}

/** A ratio: `2.31×`, `12×`. */
export function formatRatio(value: number): string {
  if (value >= 100) return `${GROUPS.format(value)}×`;
  if (value >= 10) return `${value.toFixed(1)}×`;
  return `${value.toFixed(2)}×`;
}

/** The end of a ratio's interval: two decimals, unless it is beyond all meaning. */
export function formatRatioEnd(value: number): string {
  if (value > 100) return "> 100";
  return value < 0.01 ? "< 0.01" : value.toFixed(value >= 10 ? 1 : 2);
}

/** A share in whole per cent, rounded up: what is left possible is never said too small. */
export function formatPercentUp(share: number): string {
  return `${Math.max(1, Math.ceil(100 * share - 1e-9))}%`;
}

/** A ratio below 1 as a slowdown: `18%` of 0.823. */
export function formatSlowdown(ratio: number): string {
  return formatPercentUp(1 - ratio);
}

/** A share of 0 to 1 in per cent: `3.1%`. */
export function formatPercent(share: number): string {
  if (share === 0) return "0%";
  return share * 100 < 0.1 ? "< 0.1%" : formatUse(share);
}

/** Several numbers of one kind: `2.31×`, or `2.31× to 4.02×`. */
export function formatSpan(values: readonly number[], format: (value: number) => string): string {
  const [low, high] = [format(Math.min(...values)), format(Math.max(...values))];
  return low === high ? low : `${low} to ${high}`;
}

/** A ratio with its interval, where it has one: `2.31× [1.90, 2.80]`. */
export function formatRatioEstimate(ratio: Estimate): string {
  return `${formatRatio(ratio.value)} ${formatInterval(ratio, formatRatioEnd)}`.trim();
}

/** An interval in brackets, empty when there is none: `[1.9, 2.8]`. */
export function formatInterval(
  estimate: Estimate,
  format: (value: number) => string = formatNumber,
): string {
  if (estimate.low === null || estimate.high === null) return "";
  return `[${format(estimate.low)}, ${format(estimate.high)}]`;
}

/** `a`, `a and b`, `a, b and c`. */
export function formatList(items: readonly string[]): string {
  if (items.length < 2) return items.join("");
  return `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/** At which load something holds: `at 10 and 100 users`, or `at 50 and 80/s` in an open loop. */
export function atLevels(levels: readonly LoadLevel[]): string {
  const all = loadLevels(levels);
  const users = all.flatMap((level) => level.users ?? []).map(String);
  const rates = all.flatMap((level) => level.arrivalRate ?? []).map(String);
  const atUsers = `at ${formatList(users)} ${nounFor(Number(users.join()), "user")}`;
  const atRates = `at ${formatList(rates)}/s`;
  return [users.length > 0 && atUsers, rates.length > 0 && atRates].filter(Boolean).join(" and ");
}

export function formatWhole(value: number): string {
  return GROUPS.format(value);
}

/** `1 run`, `2 runs`. */
export function formatCount(n: number, one: string, many = `${one}s`): string {
  return `${formatWhole(n)} ${nounFor(n, one, many)}`;
}

/** Some of all: `2 of 36 runs`. */
export function formatPart(some: number, all: number, one: string): string {
  return `${some} of ${all} ${nounFor(all, one)}`;
}

/** What ratios are made of: `5 rounds`, or `26 to 39 blocks in 2 to 3 starts`. */
export function formatRounds(all: readonly { n: number; blocks?: number }[]): string {
  const count = (counts: readonly number[], one: string) =>
    `${formatSpan(counts, String)} ${nounFor(Math.max(...counts), one)}`;
  const counts = all.map(({ n }) => n);
  const blocks = all.map(({ blocks = 0 }) => blocks);
  return blocks.includes(0)
    ? count(counts, "round")
    : `${count(blocks, "block")} in ${count(counts, "start")}`;
}

/** A number that need not be whole, with its noun: `1 client`, `3.2 clients`. */
export function formatAmount(value: number, one: string): string {
  const text = formatNumber(value);
  return `${text} ${nounFor(Number(text), one)}`;
}

/** The noun for so many: `run` for 1, `runs` for any other number. */
export function nounFor(n: number, one: string, many = `${one}s`): string {
  return n === 1 ? one : many;
}

/** A sentence with its first letter in upper case. */
export function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A sentence within another, with its first letter in lower case; `P95` stays as it is. */
export function uncapitalise(text: string): string {
  return text.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
}

/** A limit in per cent, as it is published: `99.5%`. */
export function formatLimit(share: number): string {
  return `${Number((100 * share).toPrecision(4))}%`;
}

/** How much of a resource is in use, in per cent, of nothing too: `0.0%`, `87%`. */
export function formatUse(share: number): string {
  return `${formatMean(100 * share)}%`;
}

/** Cores in use: `0.49`. */
export function formatCores(cores: number): string {
  return cores.toFixed(2);
}

/** A mean of a count: `1.2`, `48`. */
export function formatMean(count: number): string {
  return count < 10 ? count.toFixed(1) : String(Math.round(count));
}

/** A duration: `6.0 ms`, `760 ms`. */
export function formatMs(ms: number): string {
  return `${formatMean(ms)} ms`;
}
