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
import { BODY_WIDTH, composeFigure, type Drawing, drawPlot, type Figure } from "./figure.ts";
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

/** One arm at one load. */
interface Cell {
  arm: string;
  level: string;
  scenario: Scenario;
  /** What was planned, done, or went wrong. */
  text: string;
  /** The colour of what went wrong; null where nothing did. */
  mark: string | null;
}

function cellsOf(
  plan: Plan,
  labels: ReadonlyMap<string, string>,
  scenarios: readonly ScenarioSummary[] | undefined,
): Cell[] {
  const done = new Map(scenarios?.map((summary) => [summary.scenarioId, summary]));
  return plan.scenarios.map((scenario) => {
    const id = scenarioId(scenario);
    const { n, failedRuns, rejectedRuns } = done.get(id) ??
      { n: 0, failedRuns: 0, rejectedRuns: 0 };
    const cell = { arm: labels.get(id)!, level: levelLabel(scenario), scenario };
    const mark = failedRuns > 0 ? FAILED : rejectedRuns > 0 ? REJECTED : null;
    if (scenarios === undefined) return { ...cell, text: legendWords.runs(plan.rounds), mark };
    const text = n === 0 && mark !== null
      ? claimWords[failedRuns > 0 ? "failed" : "rejected"]
      : legendWords.runsDone(n, Math.max(plan.rounds, n + failedRuns + rejectedRuns));
    return { ...cell, text, mark };
  });
}

/** The text of each cell, on the colour of its path. */
function cellMarks(cells: Cell[]): Plot.Markish[] {
  const at = { x: "level", y: "arm" };
  return [
    Plot.cell(cells, {
      ...at,
      fill: ({ scenario }: Cell) => PATH_STYLE[scenario.path].color,
      fillOpacity: 0.16,
      stroke: ({ mark }: Cell) => mark ?? "none",
      strokeWidth: 1.5,
      rx: 3,
      ariaDescription: "cell",
    }),
    Plot.text(cells, { ...at, text: "text", fill: ({ mark }: Cell) => mark ?? INK, fontSize: 12 }),
  ];
}

/** The arms with their settings: right of the cells, or where these do not fit, below the label. */
function armMarks(notes: { arm: string; text: string }[], fits: boolean): Plot.Markish[] {
  const left = { y: "arm", frameAnchor: "left", textAnchor: "end", dx: -10 } as const;
  const right = { y: "arm", frameAnchor: "right", textAnchor: "start", dx: 10 } as const;
  return [
    Plot.text(notes, {
      ...left,
      text: "arm",
      dy: fits ? 0 : -8,
      fontSize: 13,
      ariaDescription: "arm",
    }),
    Plot.text(notes, {
      ...(fits ? right : left),
      text: "text",
      dy: fits ? 0 : 9,
      fontSize: 12,
      fill: MUTED,
    }),
  ];
}

function drawMatrix(cells: Cell[], arms: string[], levels: string[]): Drawing {
  const notes = arms.map((arm) => {
    const { scenario } = cells.find((cell) => cell.arm === arm)!;
    return { arm, text: describeArm(scenario) };
  });
  const marginLeft = 12 + Math.max(...arms.map((arm) => textWidth(arm, 13)));
  const marginRight = 16 + Math.max(...notes.map((note) => textWidth(note.text, 12)));
  const room = (BODY_WIDTH - marginLeft - marginRight) / levels.length;
  const cellsWidth = Math.max(64, Math.min(110, room)) * levels.length;
  // Very long arms with many levels need more than the width: the notes go below the labels then.
  const fits = marginLeft + marginRight + cellsWidth <= BODY_WIDTH;
  const widest = Math.max(marginLeft, marginRight);
  const marginTop = 26;
  return drawPlot({
    width: fits ? marginLeft + marginRight + cellsWidth : Math.min(BODY_WIDTH, widest + cellsWidth),
    height: marginTop + 8 + arms.length * (fits ? 32 : 44),
    marginTop,
    marginBottom: 8,
    marginLeft: fits ? marginLeft : widest,
    marginRight: fits ? marginRight : 4,
    x: { domain: levels, axis: null, padding: 0.06 },
    y: { domain: arms, axis: null, padding: 0.12 },
    color: { type: "identity" },
    marks: [
      ...cellMarks(cells),
      Plot.text(levels, {
        x: (level: string) => level,
        text: (level: string) => level,
        frameAnchor: "top",
        dy: -16,
        fontSize: 12,
        fontWeight: 600,
      }),
      ...armMarks(notes, fits),
    ],
  });
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
  const cells = cellsOf(plan, labels, options.scenarios);
  const levels = loadLevels(plan.scenarios);
  const arms = [...new Set(labels.values())];
  const closed = levels.filter(({ users }) => users !== null).length;
  const runs = plan.scenarios.length * plan.rounds;
  const summaries = options.scenarios ?? [];
  return composeFigure({
    title: options.title ??
      figureTitles.matrix(arms.length, closed, levels.length - closed, plan.rounds, runs),
    subtitle: plan.purpose,
    legend: pathLegend(summaries).filter((entry) => entry.symbol === "times"),
    body: drawMatrix(cells, arms, levels.map(levelLabel)),
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
