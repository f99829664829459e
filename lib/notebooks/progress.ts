/**
 * The progress of a study in a notebook: one display that is replaced in place.
 *
 * @module
 */

import type { StudyEvent } from "../store/events.ts";
import { emptyProgress, foldEvent } from "../store/progress.ts";
import { type DisplayData, renderDisplay } from "../views/html.ts";
import { isInKernel } from "./guard.ts";

/** What the Deno kernel offers for sending messages to the notebook. */
interface JupyterApi {
  broadcast(type: string, content: Record<string, unknown>): Promise<void>;
}

/** Sends one display, the first time as a new one. */
export type Send = (data: DisplayData, first: boolean) => void;

/** Updates are at least this far apart: a browser should not be kept busy beside a measurement. */
const INTERVAL_MS = 500;

/**
 * A view for `runStudy()`: updates one display in a notebook; elsewhere it shows nothing.
 */
export function notebookView(): (event: StudyEvent) => void {
  if (!isInKernel()) return () => {};
  const api = (Deno as unknown as { jupyter: JupyterApi }).jupyter;
  const id = `poolscope-${crypto.randomUUID()}`;
  return displayView((data, first) => {
    // A display that cannot be sent must not end the study.
    Promise.resolve(api.broadcast(first ? "display_data" : "update_display_data", {
      data,
      metadata: {},
      transient: { display_id: id },
    })).catch(() => {});
  });
}

/**
 * Draws a study by sending displays, few enough and the last one always.
 *
 * @param send Sends one.
 * @param now The time, in milliseconds. @default {Date.now}
 */
export function displayView(
  send: Send,
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
    const ends = ["study_finished", "study_stopped", "report_finished", "report_failed"].includes(
      event.event,
    );
    const waitMs = sentMs + INTERVAL_MS - now();
    if (ends || waitMs <= 0) return draw();
    // What comes last before a silence is shown, too; a cell's end must not wait for it.
    if (later === undefined) {
      later = setTimeout(draw, waitMs);
      Deno.unrefTimer(later);
    }
  };
}
