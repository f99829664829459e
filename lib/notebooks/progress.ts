/**
 * The progress of a study in a notebook: one line that is replaced in place.
 *
 * @module
 */

import type { StudyEvent } from "../store/events.ts";
import { emptyProgress, foldEvent, progressLine } from "../store/progress.ts";
import { isInKernel } from "./guard.ts";

/** What the Deno kernel offers for sending messages to the notebook. */
interface JupyterApi {
  broadcast(type: string, content: Record<string, unknown>): Promise<void>;
}

/**
 * A view for `runStudy()`: updates one display in a notebook; elsewhere it shows nothing.
 */
export function notebookView(): (event: StudyEvent) => void {
  if (!isInKernel()) return () => {};
  const api = (Deno as unknown as { jupyter: JupyterApi }).jupyter;
  let state = emptyProgress();
  let note = "";
  let shown = 0;
  const id = `poolscope-${crypto.randomUUID()}`;
  let sent = false;
  return (event) => {
    state = foldEvent(state, event);
    if (event.event === "note") note = event.text;
    const now = Date.now();
    const ends = event.event === "study_finished";
    if (!ends && now - shown < 500) return;
    shown = now;
    const text = state.current === null && !ends && note ? note : progressLine(state, now);
    api.broadcast(sent ? "update_display_data" : "display_data", {
      data: { "text/plain": text },
      metadata: {},
      transient: { display_id: id },
    });
    sent = true;
  };
}
