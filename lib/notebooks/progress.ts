/** The progress of a study in a notebook: one display that is replaced in place. */

import type { StudyEvent } from "../store/events.ts";
import { emptyProgress, foldEvent } from "../store/progress.ts";
import { type DisplayData, renderDisplay } from "../views/html.ts";
import { isInKernel } from "./guard.ts";

/** The Deno kernel's interface for messages to the notebook. */
interface JupyterApi {
  broadcast(type: string, content: Record<string, unknown>): Promise<void>;
}

/** Updates are at least this far apart: a browser should not be kept busy beside a measurement. */
const INTERVAL_MS = 500;
/** After these there may be no later update. */
const ENDS = ["study_finished", "study_stopped", "report_finished", "report_failed"];

/** A view for `runStudy()`: updates one display in a notebook; elsewhere it shows nothing. */
export function notebookView(): (event: StudyEvent) => void {
  if (!isInKernel()) return () => {};
  const api = (Deno as unknown as { jupyter: JupyterApi }).jupyter;
  const transient = { display_id: `poolscope-${crypto.randomUUID()}` };
  return displayView((data, first) => {
    const type = first ? "display_data" : "update_display_data";
    // A display that cannot be sent must not end the study.
    Promise.resolve(api.broadcast(type, { data, metadata: {}, transient })).catch(() => {});
  });
}

/** Draws a study by sending displays, few enough and the last one always. */
export function displayView(
  send: (data: DisplayData, first: boolean) => void,
  now: () => number = Date.now,
): (event: StudyEvent) => void {
  let state = emptyProgress();
  let first = true;
  let sentMs = -Infinity;
  let later: ReturnType<typeof setTimeout> | undefined;
  const draw = () => {
    clearTimeout(later);
    later = undefined;
    sentMs = now();
    send(renderDisplay(state, { nowMs: sentMs }), first);
    first = false;
  };
  return (event) => {
    state = foldEvent(state, event);
    const waitMs = sentMs + INTERVAL_MS - now();
    if (ENDS.includes(event.event) || waitMs <= 0) return draw();
    // The last state before a silence is shown, too; a cell's end must not wait for it.
    if (later !== undefined) return;
    later = setTimeout(draw, waitMs);
    Deno.unrefTimer(later);
  };
}
