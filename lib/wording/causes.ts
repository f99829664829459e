/**
 * The words of the causes of failed runs.
 *
 * @module
 */

import { SERVERS } from "../server_settings.ts";

/** The services within a sentence. */
export const serviceTitles: Record<string, string> = {
  ...SERVERS,
  app: "the app",
  network: "the network between the services",
  locust: "Locust",
};
