/** Every sentence on pool sizes. */

import { type LoadLevel } from "../scenario.ts";
import { atLevels, formatCount, formatList, formatPercentUp } from "./format.ts";

/** What a figure, a table and an answer say of the sizes of one app's pool. */
export const poolSizeWords = {
  /** An app at a load. */
  of: (app: string, level: LoadLevel) => `${app} ${atLevels([level])}`,
  smallest: (size: number) => `default_pool_size ${size}`,
  range: (sizes: readonly number[]) =>
    sizes.length === 1
      ? `default_pool_size ${sizes[0]}, probably`
      : `default_pool_size between ${sizes[0]} and ${sizes.at(-1)}`,
  flat: (sizes: readonly number[]) => `any default_pool_size from ${sizes[0]} to ${sizes.at(-1)}`,
  unknown: "no default_pool_size can be told",

  headline: (of: string, answer: string) => `- **${of}: ${answer}.**`,
  isSmallest: (tolerated: number) =>
    `It is the smallest tested that answers, with 95% confidence, at least ${
      formatPercentUp(1 - tolerated)
    } of what the best does`,
  isOpen: (tolerated: number) =>
    `Any other is shown to lose more than ${
      formatPercentUp(tolerated)
    } of what the best answers; ` +
    "more minutes (`--minutes`) tell which of these is the smallest that does not",
  isFlat: (tolerated: number) =>
    `All are shown to be within ${
      formatPercentUp(2 * tolerated)
    } of the best, so that the size is ` +
    "not what decides here",
  isUnknown: "not all sizes have blocks in common",
  tested: (sizes: readonly number[], blocks: number, starts: number) =>
    `tested: ${formatList(sizes.map(String))}, in ${formatCount(blocks, "block")} of ${
      formatCount(starts, "start")
    }`,
  ownPool: (sum: number, size: number, room: number) =>
    `PostgreSQL has room for ${sum} connections here, so for ${
      formatCount(room, "PgBouncer")
    } with ${size} each`,
  needed: (mean: string) =>
    `on average ${mean} server connections were in use where nobody waited for one, which is the least ` +
    "a pool can be (Little's law)",

  title: (parts: readonly string[]) => parts.join("; "),
  none: "No pool sizes to choose from",
  subtitle: "Throughput of each default_pool_size as a share of the best one's",
  caption: (tolerated: number) =>
    `simultaneous 95% intervals of what is lost to the best (multiple comparisons with the best); the ` +
    `band is within ${formatPercentUp(tolerated)} of it; the curve is a fit that decides nothing`,
  direct: "direct",
  chosen: "the smallest that does",
  other: "not shown to be enough",
  inUse: "in use",
  wait: "wait",
  notTried: (least: number) =>
    `This study tries fewer than ${least} pool sizes, of which none can be selected. Run the plan ` +
    "`pool-size`, or any other with `--pool-sizes 5,10,20,40`.",
  measure: "pool sizes",
  table: "Pool sizes, beside the best of each app",
} as const;
