/** Small plots side by side: which arms are drawn together, and where. */

import * as Plot from "@observablehq/plot";
import type { PathRatio, ScenarioSummary } from "../stats/summary.ts";
import { legendWords } from "../wording/figures.ts";
import { framed, MUTED, wrapLabel } from "./style.ts";
import { BODY_WIDTH } from "./figure.ts";

/** The pairs that a scenario belongs to; one without a counterpart stands alone, by its arm. */
export function pairsOf(
  { scenarioId, arm }: Pick<ScenarioSummary, "scenarioId" | "arm">,
  ratios: readonly PathRatio[],
): Pick<PathRatio, "label" | "differences">[] {
  const pairs = ratios.filter(({ direct, pooled }) => [direct, pooled].includes(scenarioId));
  if (pairs.length > 0) return pairs;
  return [{ label: arm.replace(/ (direct|pooled)(?=,|$)/, ""), differences: [] }];
}

/** Each pooled arm beside the direct arm that it is compared with; one without has its own facet. */
export function facetsOf(scenarios: readonly ScenarioSummary[], ratios: readonly PathRatio[]) {
  const placed = scenarios.flatMap((scenario) =>
    pairsOf(scenario, ratios).map(({ label, differences }) => ({
      label,
      note: legendWords.reuse(scenario.scenario.reuse, differences),
      scenario,
    }))
  );
  return [...Map.groupBy(placed, ({ label }) => label).values()].map((members) => ({
    ...members[0]!,
    scenarios: [...new Set(members.map(({ scenario }) => scenario))],
  }));
}

/** One small plot; the note says how the app keeps its connections, and which settings differ. */
export type Facet = ReturnType<typeof facetsOf>[number];

/** Small plots in a grid, each row with room for its headers and axis. */
export function facetGrid(facets: readonly Pick<Facet, "label" | "note">[]) {
  const columns = facets.length === 4 ? 2 : Math.min(3, facets.length);
  const placeOf = (i: number) => ({ fx: i % columns, fy: Math.floor(i / columns) });
  const rows = Math.ceil(facets.length / columns);
  const wrap = (text: string, size: number) => wrapLabel(text, BODY_WIDTH / columns - 24, size);
  const headers = facets.map(({ label, note }, i) => ({
    ...placeOf(i),
    label: wrap(label, 13),
    note: wrap(note, 12),
  }));
  const lines = (key: "label" | "note") => Math.max(...headers.map((one) => one[key].length));
  const noteLines = lines("note");
  const header = { fx: "fx", fy: "fy", frameAnchor: "top-left", lineAnchor: "bottom" } as const;
  const bold = { fontSize: 13, fontWeight: 600, ariaDescription: "facet" };
  const text = (key: "label" | "note") => (one: typeof headers[number]) => one[key].join("\n");
  const height = rows === 1 ? 230 : 180;
  const [above, below, left] = [16 + 16 * lines("label") + 15 * noteLines, 28, 46];
  const gap = above + below;
  // One or two small plots stay small: they read like the others.
  const width = Math.min(BODY_WIDTH, left + columns * 380);
  return {
    placeOf,
    columns,
    frameWidth: 0.92 * (width - left) / columns,
    headers: [
      Plot.text(headers, { ...header, ...bold, text: text("label"), dy: -12 - 15 * noteLines }),
      Plot.text(headers, { ...header, text: text("note"), dy: -9, fill: MUTED }),
    ],
    options: {
      width,
      ...framed(rows * (height + gap) - gap, [above, 8, below, left]),
      fx: { domain: [...Array(columns).keys()], axis: null, padding: 0.08 },
      fy: {
        domain: [...Array(rows).keys()],
        axis: null,
        paddingInner: rows === 1 ? 0 : gap / (height + gap),
        paddingOuter: 0,
      },
    },
  };
}
