/** What is compared. */

import * as Plot from "@observablehq/plot";
import { connectionBudget } from "../connections.ts";
import type { Plan } from "../plan.ts";
import { armLabels, levelLabel, loadLevels, scenarioId } from "../scenario.ts";
import { studyContext } from "../stats/context.ts";
import type { ScenarioSummary } from "../stats/summary.ts";
import { claimWords } from "../wording/claims.ts";
import { captionWords, figureTitles, legendWords } from "../wording/figures.ts";
import {
  framed,
  INK,
  LABELS,
  MUTED,
  OUTCOME_STYLE,
  PATH_STYLE,
  rowLabels,
  textWidth,
} from "./style.ts";
import { BODY_WIDTH, composeFigure, type Drawing, drawPlot, type Figure } from "./figure.ts";
import {
  caption,
  describeWindows,
  failureSentences,
  type FigureOptions,
  outcomeLegend,
  outcomesOf,
} from "./options.ts";

/** Each arm at each load: what was planned, done, or went wrong. */
function cellsOf(plan: Plan, scenarios: readonly ScenarioSummary[] | undefined) {
  const scenariosById = new Map(plan.scenarios.map((one) => [scenarioId(one), one]));
  const summaries = new Map(scenarios?.map((summary) => [summary.scenarioId, summary]));
  // Arms stand in the order of their labels, copies beside their originals.
  return [...armLabels(plan.scenarios)].map(([id, arm]) => {
    const scenario = scenariosById.get(id)!;
    const summary = summaries.get(id) ?? { n: 0, failedRuns: 0, rejectedRuns: 0 };
    const { n, failedRuns, rejectedRuns } = summary;
    const [outcome] = outcomesOf(summary);
    const done = legendWords.runsDone(n, Math.max(plan.rounds, n + failedRuns + rejectedRuns));
    const text = n === 0 && outcome !== undefined ? claimWords[outcome] : done;
    const color = outcome && OUTCOME_STYLE[outcome].stroke;
    return {
      arm,
      level: levelLabel(scenario),
      note: legendWords.arm(scenario, connectionBudget(scenario)),
      text: scenarios === undefined ? legendWords.runs(plan.rounds) : text,
      fill: PATH_STYLE[scenario.path].color,
      frame: color ?? "none",
      ink: color ?? INK,
    };
  });
}

function drawMatrix(cells: ReturnType<typeof cellsOf>, levels: string[]): Drawing {
  const arms = cells.filter((cell, i) => cells.findIndex(({ arm }) => arm === cell.arm) === i);
  const labels = rowLabels(arms.map(({ arm }) => ({ key: arm, label: arm })), 330);
  const roomLeft = 12 + labels.width;
  const roomRight = 16 + Math.max(...arms.map(({ note }) => textWidth(note, 12)));
  const cellWidth = (BODY_WIDTH - roomLeft - roomRight) / levels.length;
  const cellsWidth = Math.max(64, Math.min(110, cellWidth)) * levels.length;
  // Very long arms with many levels need more than the width: the notes go below the labels then.
  const fits = roomLeft + roomRight + cellsWidth <= BODY_WIDTH;
  const [marginLeft, marginRight] = fits
    ? [roomLeft, roomRight]
    : [Math.max(roomLeft, roomRight), 4];
  const at = { x: "level", y: "arm" };
  const cell = { fill: "fill", fillOpacity: 0.16, stroke: "frame", strokeWidth: 1.5, rx: 3 };
  const further = 6.5 * (labels.lines - 1);
  const name = { dy: fits ? 0 : -8, ariaDescription: "arm" };
  const beside = { anchor: fits ? "right" : "left", dy: fits ? 0 : 9 + further } as const;
  return drawPlot({
    width: Math.min(BODY_WIDTH, marginLeft + marginRight + cellsWidth),
    ...framed(labels.heightOf(fits ? 32 : 44), [26, marginRight, 8, marginLeft]),
    x: { domain: levels, padding: 0.06 },
    y: { domain: labels.keys, padding: 0.12 },
    marks: [
      Plot.cell(cells, { ...at, ...cell, ariaDescription: "cell" }),
      Plot.text(cells, { ...at, text: "text", fill: "ink" }),
      Plot.axisX({ ...LABELS, anchor: "top", fontWeight: 600 }),
      Plot.axisY({ ...labels.axis, ...name }),
      Plot.axisY(arms, { ...LABELS, ...beside, y: "arm", text: "note", color: MUTED }),
    ],
  });
}

/**
 * The matrix of a plan: a row for each arm with its settings, a column for each load level, and in
 * each cell the runs that are planned or done.
 *
 * @param plan The plan.
 * @param options A study will do, to show what is done: `scenarioMatrixFigure(study.plan, study)`.
 *
 * @example
 * ```ts
 * import { namedPlan, scenarioMatrixFigure } from "poolscope";
 *
 * console.assert(scenarioMatrixFigure(namedPlan("smoke")).title.startsWith("6 arms"));
 * ```
 */
export function scenarioMatrixFigure(
  plan: Plan,
  { scenarios, context, title }: Pick<FigureOptions, "scenarios" | "context" | "title"> = {},
): Figure {
  const cells = cellsOf(plan, scenarios);
  const arms = new Set(cells.map(({ arm }) => arm)).size;
  const levels = loadLevels(plan.scenarios);
  const users = levels.filter((level) => level.users !== null).length;
  const runs = plan.scenarios.length * plan.rounds;
  const { warmUpS, windowS, turns } = context ?? studyContext(plan, []);
  return composeFigure({
    title: title ??
      figureTitles.matrix(arms, users, levels.length - users, plan.rounds, runs, turns !== null),
    subtitle: plan.purpose,
    // As frames, which is what cells have.
    legend: outcomeLegend(scenarios ?? []).map(({ label, mark }) => ({
      label,
      mark: { ...mark, symbol: "square", strokeWidth: 1.5 },
    })),
    body: drawMatrix(cells, levels.map(levelLabel)),
    failures: failureSentences(scenarios ?? []),
    caption: caption([
      scenarios === undefined ? captionWords.runsPlanned : captionWords.runsDone,
      turns === null ? captionWords.warmUp(warmUpS) : captionWords.warmUpOfArm(turns.warmUpS),
      turns === null ? captionWords.randomOrder : captionWords.randomTurns,
      context === undefined && describeWindows({ windowS, turns }),
    ], context),
  });
}
