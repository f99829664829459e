// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { cutSpans, cutText, displayWidth, padText, paint, plainText, wrapText } from "./text.ts";

Deno.test("displayWidth() counts columns: wide characters two, combining marks none", () => {
  const widths = { "abc": 3, "é": 1, "e\u0301": 1, "日本": 4, "한": 2, "ｱ": 1, "🚀": 2, "👩‍💻": 2 };
  deepEqual(Object.keys(widths).map(displayWidth), Object.values(widths));
  equal(displayWidth("●✗▸·━─…⏎"), 8);
});

Deno.test("cutText() leaves what fits, and an ellipsis for the rest", () => {
  deepEqual(["abc", "abcd", "日本語", "日本"].map((text) => cutText(text, 4)), [
    "abc",
    "abcd",
    "日…",
    "日本",
  ]);
  deepEqual([cutText("abc", 1), cutText("abc", 0)], ["…", ""]);
});

Deno.test("padText() fills up to columns, not characters", () => {
  deepEqual([padText("日", 4), padText("abcde", 4)], [
    "日  ",
    "abc…",
  ]);
});

Deno.test("cutSpans() cuts several texts as one", () => {
  const spans = [["abc", "bold"], ["def", "plain"], ["g", "dim"]] as const;
  deepEqual(cutSpans(spans, 7), spans);
  deepEqual(cutSpans(spans, 5), [["abc", "bold"], ["d…", "plain"]]);
  deepEqual(cutSpans(spans, 4), [["abc", "bold"], ["…", "plain"]]);
});

Deno.test("plainText() leaves nothing that moves a cursor or colours", () => {
  equal(plainText("a\x1b[2K\x1b[31mb\x1b[0m\tc\r\nd\x1b]0;title\x07e\x1b(Bf\u2028\n"), "ab c deBf");
});

Deno.test("wrapText() breaks between words, and words that are longer than a line", () => {
  deepEqual(wrapText("one two three four", 9), ["one two", "  three", "  four"]);
  deepEqual(wrapText("see /a/very/long/path now", 10), [
    "see",
    "  /a/very/",
    "  long/pat",
    "  h now",
  ]);
  deepEqual(wrapText("  indented line", 12), ["  indented", "  line"]);
  deepEqual([wrapText("", 9), wrapText("日本語日本語", 8)], [[""], ["日本語日", "  本語"]]);
  const wide = "क" + "ः".repeat(200);
  deepEqual(wrapText(`${wide}b`, 9).map((line) => line.trim()).join(""), `${wide}b`);
  const text = "a cause of several words, 日本語 too, and a path/that/has/no/blanks/at/all ".repeat(
    4,
  );
  for (const columns of [20, 39, 79]) {
    ok(wrapText(text, columns).every((line) => displayWidth(line) <= columns));
    equal(wrapText(text, columns).join("").replaceAll(" ", ""), text.replaceAll(" ", ""));
  }
});

Deno.test("paint() colours each span, or none", () => {
  const spans = [["a", "ok"], ["b", "ok"], ["", "dim"], ["c", "plain"]] as const;
  deepEqual([paint(spans, true), paint(spans, false)], ["\x1b[32mab\x1b[0mc", "abc"]);
});
