/** What taking turns may hide in a study, in sentences and tables. */

import { levelLabel } from "../scenario.ts";
import {
  type ArmTurns,
  type CarryOver,
  MAX_CARRY_OVER_SHARE,
  MAX_HALVES_CHANGE,
  MAX_IDLE_SHARE,
  type State,
} from "../stats/alternation.ts";
import { alternationWords as say } from "../wording/alternation.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { checkWords } from "../wording/study.ts";
import { Markdown, right, type Table, tableOf } from "./display.ts";
import type { Study } from "./study.ts";

const nameOfArm = (one: ArmTurns) => claimWords.cell(one.arm, [one]);
const nameOfPair = (one: CarryOver) => claimWords.cell(say.over(one.other, one.base), [one]);

function listIf<T>(all: readonly T[], line: (names: string[]) => string, name: (one: T) => string) {
  return all.length === 0 ? [] : [line(all.map(name))];
}

/** What arms used in the others' turns. */
function readIdle(arms: readonly ArmTurns[]): string[] {
  const unknown = arms.filter(({ idle }) => idle === null);
  const marked = arms.filter(({ idle }) => idle?.isMarked);
  return [
    ...listIf(
      marked,
      (names) => say.idle(names, MAX_IDLE_SHARE),
      (one) => say.idleArm(nameOfArm(one), one.idle!.share, one.idle!.most),
    ),
    ...(marked.length === 0 && unknown.length < arms.length ? [say.noIdle(MAX_IDLE_SHARE)] : []),
    ...listIf(unknown, say.unknown.idle, nameOfArm),
  ];
}

function readCarryOver(comparisons: readonly CarryOver[]): string[] {
  const inState = (state: State | null) => comparisons.filter((one) => one.state === state);
  const bounded = (one: CarryOver) => say.pair(nameOfPair(one), one.bound!, one.halfWidth!);
  return [
    ...listIf(inState("seen"), say.seen, bounded),
    ...listIf(inState("open"), say.open, bounded),
    ...listIf(inState("small"), say.small, nameOfPair),
    ...listIf(inState(null), say.unknown.carryOver, nameOfPair),
  ];
}

function readHalves(arms: readonly ArmTurns[]): string[] {
  const inState = (state?: State) => arms.filter(({ late }) => late?.state === state);
  const change = (one: ArmTurns) => say.halvesOfArm(nameOfArm(one), one.late!);
  const small = inState("small");
  const settled = small.length === arms.length ? null : small.map(nameOfArm);
  return [
    ...listIf(inState("seen"), say.unsettled, change),
    ...listIf(inState("open"), (names) => say.maySettle(names, MAX_HALVES_CHANGE), change),
    ...(small.length === 0 ? [] : [say.settled(MAX_HALVES_CHANGE, settled)]),
    // Those of which it is not known have no state.
    ...listIf(inState(), say.unknown.late, nameOfArm),
  ];
}

/** Reads what taking turns may hide. */
export function readAlternation({ alternation, context }: Study): Markdown {
  if (context.functionalCheck) return new Markdown(checkWords.reading(measureWords.throughput));
  if (alternation === null) return new Markdown(say.consecutive);
  const { arms, comparisons } = alternation;
  const lines = [...readIdle(arms), ...readCarryOver(comparisons), ...readHalves(arms)];
  return new Markdown([say.head, lines.join("\n")].join("\n\n"));
}

/** A row for each arm: its CPU in the others' turns, its place in blocks, the halves of its slices. */
export function turnsTable({ alternation }: Study): Table {
  const { columns } = say;
  return tableOf(say.armsCaption(MAX_IDLE_SHARE, MAX_HALVES_CHANGE), alternation?.arms ?? [], [
    ["arm", ({ arm }) => arm],
    right("load", levelLabel),
    right(
      columns.idle,
      ({ idle }) =>
        idle === null ? say.none : say.mark(say.ofSeconds(idle.share, idle.n), idle.isMarked),
    ),
    right(columns.first, ({ first }) => first === null ? say.none : say.factor(first)),
    right(
      columns.late,
      ({ late }) => late === null ? say.none : say.mark(say.factor(late), late.state === "seen"),
    ),
  ]);
}

/** A row for each comparison: what following other arms may do to its ratio. */
export function carryOverTable({ alternation }: Study): Table {
  const { columns } = say;
  const caption = say.pairsCaption(MAX_CARRY_OVER_SHARE);
  return tableOf(caption, alternation?.comparisons ?? [], [
    ["comparison", ({ other, base }) => say.over(other, base)],
    right("load", levelLabel),
    right(columns.effect, ({ effect }) => effect === null ? say.none : say.factor(effect)),
    right(
      columns.bound,
      ({ bound, state }) => bound === null ? null : say.mark(say.share(bound), state === "seen"),
    ),
    right(columns.halfWidth, ({ halfWidth }) => halfWidth === null ? null : say.share(halfWidth)),
    [columns.state, ({ state }) => state === null ? say.none : say.states[state]],
  ]);
}
