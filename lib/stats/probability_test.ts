// test lane: checkout
import assert from "node:assert/strict";
import { binomialTail, noncentralTCdf, normalTail } from "./probability.ts";

/** Relative closeness. */
function close(actual: number, expected: number, tolerance = 1e-10): void {
  const scale = Math.max(Math.abs(expected), 1e-300);
  assert.ok(Math.abs(actual - expected) <= tolerance * scale, `${actual} is not ${expected}`);
}

Deno.test("normalTail() agrees with scipy 1.17.1, norm.sf(), far into the tail", () => {
  const table: [number, number][] = [
    [0, 0.5],
    [0.5, 0.3085375387259869],
    [1.959963984540054, 0.025],
    [3.2, 0.0006871379379158471],
    [5, 2.866515718791933e-7],
    [8, 6.22096057427174e-16],
    [20, 2.7536241186061556e-89],
  ];
  for (const [z, p] of table) close(normalTail(z), p, 1e-12);
  close(normalTail(-0.5), 1 - 0.3085375387259869, 1e-14);
});

Deno.test("noncentralTCdf() agrees with scipy 1.17.1, nct.cdf()", () => {
  const table: [number, number, number, number][] = [
    [2.5, 5, 1.0, 0.8634436555970015],
    [3.0, 9, 4.3, 0.12890069537428195],
    [-1.0, 4, 0.5, 0.08614956903656282],
    [2.0, 3, -1.5, 0.9971191699279385],
    [6.5, 5, 5.5, 0.6041850926825179],
    [0, 4, 1.2, 0.11506967022170833],
    [30, 2, 20, 0.6411006215951047],
  ];
  for (const [t, degrees, shift, p] of table) close(noncentralTCdf(t, degrees, shift), p, 1e-9);
  assert.ok(noncentralTCdf(4, 17, 12) < 1e-10);
  assert.throws(() => noncentralTCdf(1, 3, 40), /shift 40/);
});

Deno.test("binomialTail() agrees with scipy 1.17.1, binom.sf(k - 1)", () => {
  close(binomialTail(4, 20, 0.05), 0.015901526019763548);
  close(binomialTail(1, 20, 0.05), 0.6415140775914578);
  close(binomialTail(5, 24, 0.05), 0.005974550586488712);
  close(binomialTail(9, 9, 0.3), 1.9682999999999994e-5);
  assert.equal(binomialTail(0, 9, 0.3), 1);
  assert.throws(() => binomialTail(3, 2, 0.5), /3 of 2/);
});
