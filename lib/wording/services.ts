/** How sentences call the services of a run. */

import { SERVERS } from "../server_settings.ts";

const TITLES: Record<string, string> = {
  ...SERVERS,
  app: "the app",
  network: "the network between the services",
  locust: "the load generator",
};

/** A service of any name within a sentence, Locust as what it is. */
export function titleOf(service: string): string {
  return TITLES[service] ?? service;
}
