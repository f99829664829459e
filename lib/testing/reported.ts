/** How a start ends that came to its report. */

import { EXIT } from "../tasks/exit_status.ts";

/** The exit statuses of a report: what else a machine does can have all runs of a short one rejected. */
export const REPORTED: readonly number[] = [EXIT.ok, EXIT.nothingAccepted];
