/**
 * Colours, symbols and type of all figures.
 *
 * @module
 */

import type { Path } from "../scenario.ts";

/** Text and axes. */
export const INK = "#1f2933";
/** Captions and secondary text. */
export const MUTED = "#52606d";
/** Grid lines. */
export const GRID = "#e4e7eb";
/** Whatever failed. */
export const FAILED = "#c0262d";

/** What gates reject: neither a failure nor a result. */
export const REJECTED = "#8a5a00";

/** The family of every figure; the PNGs ship it, pages fall back to the system's. */
export const FONT =
  "'Source Sans 3', 'Helvetica Neue', Arial, 'Liberation Sans', system-ui, sans-serif";

/** The two paths, told apart by colour, by lightness and by symbol. */
export const PATH_STYLE: Record<Path, { color: string; symbol: "circle" | "square" }> = {
  direct: { color: "#7b8794", symbol: "circle" },
  pooled: { color: "#0a5fb4", symbol: "square" },
};

/** Services in resource figures: colours of Okabe & Ito, safe for colour-blind readers. */
export const SERVICE_COLOR: Record<string, string> = {
  postgres: "#0072b2",
  app: "#d55e00",
  pgbouncer: "#009e73",
  network: "#e69f00",
  locust: "#cc79a7",
  host: "#7b8794",
};

/** What connections do, in figures of them: of the same colours. */
export const CONNECTION_COLOR: Record<string, string> = {
  "active": "#0072b2",
  "waiting for a lock": "#d55e00",
  "idle in transaction": "#cc79a7",
  "sv_active": "#009e73",
  "cl_waiting": "#e69f00",
};
