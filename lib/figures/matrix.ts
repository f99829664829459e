/**
 * What is compared.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import { connectionBudget } from "../connections.ts";
import type { Plan } from "../plan.ts";
import { armLabels, levelLabel, loadLevels, type Scenario, scenarioId } from "../scenario.ts";
import type { ScenarioSummary } from "../stats/summary.ts";
import { BODY_WIDTH, composeFigure, drawPlot, type Figure } from "./figure.ts";
import { claimWords } from "../wording/claims.ts";
import { captionWords, figureTitles, legendWords } from "../wording/figures.ts";
import { caption, failureSentences, type FigureOptions, pathLegend } from "./options.ts";
import { FAILED, INK, MUTED, PATH_STYLE, REJECTED } from "./theme.ts";
import { textWidth } from "./text.ts";

/** Options of {@linkcode scenarioMatrixFigure}. */
export interface MatrixFigureOptions extends Pick<FigureOptions, "context" | "title"> {
  /** What is done of the plan. @default nothing, the plan is shown as it is */
  scenarios?: readonly ScenarioSummary[];
}

/** How an arm reaches the database: workers and connections, and PgBouncer's pool. */
function describeArm(scenario: Scenario): string {
  const { workers, threads, reuse, path, defaultPoolSize } = scenario;
  const connections = connectionBudget(scenario);
  const poolSize = path === "pooled" ? defaultPoolSize : null;
  return legendWords.arm({ workers, threads, reuse, connections, poolSize });
}

/**
 * The matrix of a plan: a row for each arm with its settings, a column for each load level, and in each cell the runs that are planned or done.
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
export function scenarioMatrixFigure(plan: Plan, options: MatrixFigureOptions = {}): Figure {
  const labels = armLabels(plan.scenarios);
  const done = new Map(options.scenarios?.map((summary) => [summary.scenarioId, summary]));
  const levels = loadLevels(plan.scenarios).map(levelLabel);
  const arms = [...new Set(labels.values())];
  const cells = plan.scenarios.map((scenario) => {
    const id = scenarioId(scenario);
    const summary = done.get(id);
    const text = options.scenarios === undefined
      ? legendWords.runs(plan.rounds)
      : summary === undefined
      ? legendWords.runsDone(0, plan.rounds)
      : summary.n === 0
      ? summary.failedRuns > 0 ? claimWords.failed : claimWords.rejected
      : legendWords.runsDone(
        summary.n,
        Math.max(plan.rounds, summary.n + summary.failedRuns + summary.rejectedRuns),
      );
    return {
      arm: labels.get(id)!,
      level: levelLabel(scenario),
      color: PATH_STYLE[scenario.path].color,
      text,
      mark: summary === undefined
        ? null
        : summary.failedRuns > 0
        ? FAILED
        : summary.rejectedRuns > 0
        ? REJECTED
        : null,
      scenario,
    };
  });
  const firsts = arms.map((arm) => ({ arm, scenario: cells.find((c) => c.arm === arm)!.scenario }));
  const notes = firsts.map(({ arm, scenario }) => ({ arm, text: describeArm(scenario) }));
  const marginLeft = 12 + Math.max(...arms.map((arm) => textWidth(arm, 13)));
  const marginRight = 16 + Math.max(...notes.map((note) => textWidth(note.text, 12)));
  const cellWidth = Math.max(
    64,
    Math.min(110, (BODY_WIDTH - marginLeft - marginRight) / levels.length),
  );
  // Very long arms with many levels need more than the width: the notes go below the labels then.
  const fits = marginLeft + marginRight + cellWidth * levels.length <= BODY_WIDTH;
  const marginTop = 26;
  const body = drawPlot({
    width: fits
      ? marginLeft + marginRight + cellWidth * levels.length
      : Math.min(BODY_WIDTH, Math.max(marginLeft, marginRight) + cellWidth * levels.length),
    height: marginTop + 8 + arms.length * (fits ? 32 : 44),
    marginTop,
    marginBottom: 8,
    marginLeft: fits ? marginLeft : Math.max(marginLeft, marginRight),
    marginRight: fits ? marginRight : 4,
    x: { domain: levels, axis: null, padding: 0.06 },
    y: { domain: arms, axis: null, padding: 0.12 },
    color: { type: "identity" },
    marks: [
      Plot.cell(cells, {
        x: "level",
        y: "arm",
        fill: "color",
        fillOpacity: 0.16,
        stroke: (cell: typeof cells[number]) => cell.mark ?? "none",
        strokeWidth: 1.5,
        rx: 3,
        ariaDescription: "cell",
      }),
      Plot.text(cells, {
        x: "level",
        y: "arm",
        text: "text",
        fill: (cell: typeof cells[number]) => cell.mark ?? INK,
        fontSize: 12,
      }),
      Plot.text(levels, {
        x: (level: string) => level,
        text: (level: string) => level,
        frameAnchor: "top",
        dy: -16,
        fontSize: 12,
        fontWeight: 600,
      }),
      Plot.text(arms, {
        y: (arm: string) => arm,
        text: (arm: string) => arm,
        frameAnchor: "left",
        textAnchor: "end",
        dx: -10,
        dy: fits ? 0 : -8,
        fontSize: 13,
        ariaDescription: "arm",
      }),
      Plot.text(notes, {
        y: "arm",
        text: "text",
        frameAnchor: fits ? "right" : "left",
        textAnchor: fits ? "start" : "end",
        dx: fits ? 10 : -10,
        dy: fits ? 0 : 9,
        fontSize: 12,
        fill: MUTED,
      }),
    ],
  });
  const closed = loadLevels(plan.scenarios).filter(({ users }) => users !== null).length;
  const runs = plan.scenarios.length * plan.rounds;
  const summaries = options.scenarios ?? [];
  return composeFigure({
    title: options.title ??
      figureTitles.matrix(arms.length, closed, levels.length - closed, plan.rounds, runs),
    subtitle: plan.purpose,
    legend: pathLegend(summaries).filter((entry) => entry.symbol === "times"),
    body,
    failures: failureSentences(summaries),
    caption: caption(
      [
        options.scenarios === undefined ? captionWords.runsPlanned : captionWords.runsDone,
        captionWords.warmUp(plan.warmUpS),
        captionWords.randomOrder,
        options.context === undefined ? [captionWords.windows(plan.windowS)] : [],
      ].flat(),
      options.context,
    ),
  });
}
