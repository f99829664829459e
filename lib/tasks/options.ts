/** How tasks declare their options: each once, with its help and what its value must be. */

import {
  Command,
  CommanderError,
  InvalidArgumentError,
  type OptionValues,
} from "@commander-js/extra-typings";
import { UsageError } from "../errors.ts";
import { runTask } from "./cli.ts";

/** The command of `deno task NAME`, to which options and arguments are added. */
export function taskCommand(name: string, about: string): Command {
  return new Command(`deno task ${name}`)
    .description(about)
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
}

export function toNumber(text: string): number {
  const value = text.trim() === "" ? NaN : Number(text);
  if (Number.isFinite(value)) return value;
  throw new InvalidArgumentError("It must be a number");
}

export function toWholeNumber(text: string): number {
  const value = toNumber(text);
  if (Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError("It must be a whole number");
}

export function repeated(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/** Reads an option whose value is a list with commas; it may be repeated, too. */
export function list<T>(parse: (text: string) => T) {
  return (text: string, before: T[] = []): T[] => [...before, ...text.split(",").map(parse)];
}

/** Runs a task by {@linkcode runTask}, with what was given on its command line. */
export function runTaskCommand<A extends unknown[], O extends OptionValues>(
  command: Command<A, O>,
  body: (given: { args: A; options: O; signal: AbortSignal }) => Promise<number | void>,
  options: Parameters<typeof runTask>[2] & { helpBelow?: string } = {},
): Promise<never> {
  const part = command.commands.find((part) => part.name() === Deno.args[0]);
  const { helpBelow } = options;
  const help = [(part ?? command).helpInformation().trimEnd(), helpBelow].filter(Boolean);
  return runTask(help.join("\n\n"), (signal) => {
    try {
      command.parse(Deno.args, { from: "user" });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      // Without a name it would print its help.
      const what = error.code === "commander.help"
        ? `no name was given, it must be ${command.commands.map((one) => one.name()).join(", ")}`
        : toLine(error.message);
      const place = [command.name(), ...part ? [part.name()] : []].join(" ");
      throw new UsageError(`Cannot read options: ${what}; see ${place} --help`, { cause: error });
    }
    return body({ args: command.processedArgs, options: command.opts(), signal });
  }, options);
}

/** What Commander says in several sentences and lines, in one. */
function toLine(message: string): string {
  return message.replace(/^error: /, "").replace("\n(Did", " (did").replace(/\.$/, "")
    .replace(/\. ([AEI])/, (_, letter) => `: ${letter.toLowerCase()}`);
}
