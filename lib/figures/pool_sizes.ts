/** Throughput of pool sizes beside the best one's, a small plot for each app and load. */

import * as Plot from "@observablehq/plot";
import { appTitle } from "../apps/folders.ts";
import { TOLERATED_LOSS } from "../stats/best.ts";
import { type PoolSizes, uslAt } from "../stats/pool_sizes.ts";
import type { StudyContext } from "../stats/context.ts";
import { formatMs, formatNumber, formatPercent } from "../wording/format.ts";
import { poolSizeWords as say } from "../wording/pool_sizes.ts";
import { composeFigure, type Drawing, drawPlot, type Figure, stack } from "./figure.ts";
import { caption, type FigureOptions, noticeFigure } from "./options.ts";
import { framed, gridLines, INK, LABELS, MUTED, numbers, PATH_STYLE } from "./style.ts";

/** What the figure needs of a study, which has it all. */
export interface PoolSizeResults {
  poolSizes: readonly PoolSizes[];
  context?: StudyContext;
}

const BAND = "#e3eefa";
const POOLED = PATH_STYLE.pooled.color;

/** What is said of a family in a few words: the size that does, or those that may. */
export function describeChoice({ sizes, selection }: PoolSizes): string {
  if (selection === null) return say.unknown;
  const of = (places: readonly number[]) => places.map((place) => sizes[place]!.size);
  if (selection.isFlat) return say.flat(sizes.map(({ size }) => size));
  return selection.smallest === null
    ? say.range(of(selection.possible))
    : say.smallest(sizes[selection.smallest]!.size);
}

/** The name of a family: its app and load. */
export function familyName(family: PoolSizes): string {
  return say.of(appTitle(family.framework), family);
}

function rowsOf({ sizes, selection }: PoolSizes) {
  return sizes.flatMap((one, i) =>
    one.beside === null ? [] : [{
      size: one.size,
      share: one.beside.share.value,
      low: one.beside.share.low!,
      high: one.beside.share.high!,
      color: selection?.smallest === i ? POOLED : "#fff",
      label: formatPercent(one.beside.share.value),
      inUse: one.mostActive === null ? "–" : formatNumber(one.mostActive),
      wait: one.waitMs === null ? "–" : formatMs(one.waitMs),
    }]
  );
}

/** The curve's points, as shares of the best size's throughput. */
function curveOf({ sizes, usl }: PoolSizes, best: number) {
  if (usl === null) return [];
  const [least, most] = [sizes[0]!.size, sizes.at(-1)!.size];
  return Array.from({ length: 60 }, (_, i) => {
    const size = least * (most / least) ** (i / 59);
    return { size, share: uslAt(usl, size) / best };
  });
}

function drawFamily(family: PoolSizes): Drawing {
  const rows = rowsOf(family);
  const best = Math.max(...family.sizes.map(({ rps }) => rps ?? 0));
  const direct = family.directRps === null ? null : family.directRps / best;
  const top = Math.max(1.05, (direct ?? 0) + 0.05);
  const at = { x: "size", y: "share" } as const;
  const below = (text: "inUse" | "wait", dy: number) =>
    Plot.text(rows, { x: "size", text, frameAnchor: "bottom", dy, fill: MUTED, fontSize: 11 });
  const left = (text: string, dy: number) =>
    Plot.text([text], {
      text: (one: string) => one,
      frameAnchor: "bottom-left",
      textAnchor: "end",
      dx: -10,
      dy,
      fill: MUTED,
      fontSize: 11,
    });
  return drawPlot({
    ...framed(190, [34, 70, 66, 64]),
    x: { type: "log", insetLeft: 24, insetRight: 24 },
    y: { domain: [0, top], clamp: true },
    marks: [
      Plot.rect([{}], { y1: 1 - TOLERATED_LOSS, y2: 1, fill: BAND, ariaDescription: "tolerated" }),
      Plot.gridY(gridLines(5)),
      Plot.frame({ anchor: "bottom", stroke: MUTED }),
      Plot.axisY({ ...numbers(5), text: (share: number) => formatPercent(share) }),
      Plot.axisX({ ...LABELS, ticks: rows.map(({ size }) => size), text: String, color: MUTED }),
      Plot.text([familyName(family)], {
        text: (one: string) => one,
        frameAnchor: "top-left",
        dy: -24,
        fontSize: 14,
        fontWeight: 600,
        fill: INK,
        textAnchor: "start",
      }),
      ...(direct === null ? [] : [
        Plot.ruleY([direct], { stroke: PATH_STYLE.direct.color, strokeDasharray: "4 3" }),
        Plot.text([direct], {
          y: (share: number) => share,
          text: () => say.direct,
          frameAnchor: "right",
          textAnchor: "start",
          dx: 8,
          fill: PATH_STYLE.direct.color,
        }),
      ]),
      Plot.line(curveOf(family, best), { ...at, stroke: MUTED, strokeOpacity: 0.5 }),
      Plot.ruleX(rows, { x: "size", y1: "low", y2: "high", stroke: POOLED, strokeWidth: 2 }),
      Plot.dot(rows, { ...at, r: 5, fill: "color", stroke: POOLED, strokeWidth: 2 }),
      Plot.text(rows, { ...at, text: "label", dy: -14, fill: POOLED, stroke: "#fff" }),
      below("inUse", 34),
      below("wait", 50),
      left(say.inUse, 34),
      left(say.wait, 50),
    ],
  });
}

/**
 * Throughput of each pool size as a share of the best one's, with the smallest that does marked.
 *
 * @param results A study.
 * @param options A title instead of the one that is computed.
 */
export function poolSizeFigure(
  results: PoolSizeResults,
  options: Pick<FigureOptions, "title"> = {},
): Figure {
  const families = results.poolSizes.filter(({ selection }) => selection !== null);
  const notice = noticeFigure(families, say.none, say.measure, results.context);
  if (notice !== null) return notice;
  const chosen = { label: say.chosen, mark: { r: 5, fill: POOLED, stroke: POOLED } };
  const other = { label: say.other, mark: { r: 5, fill: "#fff", stroke: POOLED } };
  return composeFigure({
    title: options.title ??
      say.title(families.map((family) => `${familyName(family)}: ${describeChoice(family)}`)),
    subtitle: say.subtitle,
    legend: [chosen, other],
    body: stack(families.map(drawFamily)),
    caption: caption([say.caption(TOLERATED_LOSS)], results.context),
  });
}
