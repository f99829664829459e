/** Makes the files of a synthetic run those of one that took turns with another. */

import type { Plan, PlannedRun } from "../plan.ts";
import { RUN_COLUMNS } from "../store/layout.ts";
import type { FinalAccount, Manifest } from "../store/manifest.ts";

/** Blocks of a synthetic start. */
export const SYNTHETIC_BLOCKS = 10;

/** Of a slice, what settles. */
const SETTLING = 0.2;

/**
 * The clock of a run that was made up as if it had been alone: its warm-up and then its window in
 * {@linkcode SYNTHETIC_BLOCKS} slices, with as much time for another arm beside each.
 */
export class SyntheticTurns {
  readonly #epochUs: number;
  readonly #slices: { ownUs: number; startUs: number; place: number; lengthUs: number }[];

  /** @param epochUs When its load began. */
  constructor(
    { warmUpS, windowS }: Pick<Plan, "warmUpS" | "windowS">,
    { scenario, round }: Pick<PlannedRun, "scenario" | "round">,
    epochUs: number,
  ) {
    this.#epochUs = epochUs;
    const lengthUs = windowS * 1e6 / SYNTHETIC_BLOCKS;
    const warmUpUs = warmUpS * 1e6;
    const placeIn = (block: number) =>
      // Neither arm comes first more often, nor in a pattern of the blocks alone.
      ([0, 1, 1, 0][(block + round) % 4] === 1) === (scenario.path === "direct") ? 1 : 2;
    const warmingPlace = placeIn(0);
    this.#slices = [{
      ownUs: epochUs,
      startUs: epochUs + (warmingPlace - 1) * warmUpUs,
      place: warmingPlace,
      lengthUs: warmUpUs,
    }];
    for (let block = 1; block <= SYNTHETIC_BLOCKS; block++) {
      const place = placeIn(block);
      const before = 2 * (block - 1) + place - 1;
      this.#slices.push({
        ownUs: epochUs + warmUpUs + (block - 1) * lengthUs,
        startUs: epochUs + 2 * warmUpUs + before * lengthUs,
        place,
        lengthUs,
      });
    }
  }

  /** The time by the clock at a time of its own. */
  clock(ownUs: number): number {
    const slice = this.#slices.findLast((one) => one.ownUs <= ownUs) ?? this.#slices[0]!;
    return Math.round(slice.startUs + ownUs - slice.ownUs);
  }

  /** The window of the whole group by the clock. */
  get window(): NonNullable<Manifest["window"]> {
    const [warmUp, first] = [this.#slices[0]!, this.#slices[1]!];
    const startUs = this.#epochUs + 2 * warmUp.lengthUs;
    return { startUs, endUs: startUs + 2 * SYNTHETIC_BLOCKS * first.lengthUs };
  }

  /** `slices.csv`. */
  csv(): string {
    const lines = this.#slices.map(({ startUs, place, lengthUs }, block) => {
      const endUs = startUs + lengthUs;
      return [block, place, startUs, startUs + SETTLING * lengthUs, endUs, endUs].map(Math.round);
    });
    return [Object.keys(RUN_COLUMNS["slices.csv"]), ...lines].map((line) => `${line}\n`).join("");
  }

  /** A CSV file with one of its columns, a time, by the clock. */
  convert(text: string, column: "time_us" | "start_us"): string {
    const [head, ...lines] = text.trimEnd().split("\n");
    const at = head!.split(",").indexOf(column);
    const converted = lines.map((line) => {
      const fields = line.split(",");
      fields[at] = String(this.clock(Number(fields[at])));
      return fields.join(",");
    });
    return [head, ...converted].map((line) => `${line}\n`).join("");
  }

  /** `resources.csv`, with readings at the ends of slices as well: between two, nothing is used. */
  resources(text: string): string {
    const [head, ...lines] = text.trimEnd().split("\n");
    const converted = lines.flatMap((line) => {
      const [time, ...values] = line.split(",");
      const at = this.#slices.findIndex(({ ownUs }) => ownUs === Number(time));
      const before = this.#slices[at - 1];
      const ended = before === undefined ? [] : [before.startUs + before.lengthUs];
      return [...ended, this.clock(Number(time))].map((timeUs) => [timeUs, ...values].join(","));
    });
    return [head, ...converted].map((line) => `${line}\n`).join("");
  }

  /** The generator's account of the whole group. */
  account(final: FinalAccount): FinalAccount {
    const { startUs: windowStartUs, endUs: windowEndUs } = this.window;
    return { ...final, windowStartUs, windowEndUs };
  }
}
