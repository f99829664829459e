/**
 * What an app runs on. Each runtime is one file, which says how an app is installed and built and what
 * a start finds; how that is done on this machine is the business of whoever gives the workshop.
 */

import type { App } from "./app.ts";
import { COMMAND } from "./command.ts";
import { IMAGE } from "./image.ts";
import { NODE } from "./node.ts";
import { PYTHON } from "./python.ts";

/** What a runtime may ask of the machine. */
export interface Workshop {
  /** A virtual environment with the packages of the app's lock, and their versions. */
  environment(app: App): Promise<{ folder: string; versions: Record<string, string> }>;
  /** A copy of the app's folder in which these commands have run, once for each of its contents. */
  build(app: App, commands: string[][]): Promise<string>;
  /** The first line that a command prints, in the app's folder. */
  ask(app: App, command: string[]): Promise<string>;
}

export interface ReadyApp {
  /** The folder that its command runs in. */
  folder: string;
  /** Folders of programs, searched before the system's. */
  programs: string[];
  versions: Record<string, string>;
}

/** How apps of one kind are made ready on this machine. */
export interface Runtime {
  /** The programs that must be on PATH. */
  needs(app: App): string[];
  /** Installs and builds what is missing, or says in one line why it cannot. */
  prepare(app: App, workshop: Workshop): Promise<ReadyApp>;
}

/** The runtimes by the names that an `app.json` gives. */
export const RUNTIMES: Record<App["runtime"], Runtime> = {
  python: PYTHON,
  node: NODE,
  command: COMMAND,
  image: IMAGE,
};
