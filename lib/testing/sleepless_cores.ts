/**
 * Cores that do not fall asleep: how late a halted virtual core wakes is the host's affair, and after
 * 8 ms of rest one was seen to wake later than after 3 ms, at each of the hops of an answer.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import { availableParallelism } from "node:os";

/** Keeps each core busy with what gives way to everything else. The kernel ends it if nobody else does. */
export class SleeplessCores implements AsyncDisposable {
  #burners = Array.from(
    { length: availableParallelism() },
    (_, core) =>
      new Deno.Command("taskset", {
        args: [
          "-c",
          `${core}`,
          "chrt",
          "--idle",
          "0",
          "sh",
          "-c",
          "ulimit -t 600; while :; do :; done",
        ],
        stdin: "null",
        stdout: "null",
        stderr: "inherit",
      }).spawn(),
  );

  async [Symbol.asyncDispose](): Promise<void> {
    this.#burners.forEach((burner) => burner.kill("SIGKILL"));
    for (const burner of this.#burners) equal((await burner.status).signal, "SIGKILL");
  }
}
