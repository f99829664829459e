/** What is said of claims that data does not bear. */

export const claimedWords = {
  notShown: (sentence: string, value: string | null) =>
    `**Not shown**${value === null ? "" : ` (${value})`}: ${sentence}`,
  place: (notebook: string, cell: number, sentence: string, value: string | null) =>
    `${notebook}, cell ${cell}: not shown${value === null ? "" : ` (${value})`}: ${sentence}`,
  strict: (places: readonly string[]) =>
    `Cannot vouch for what the notebooks say: ${
      places.join("; ")
    }; correct the sentences, or export without --strict`,
};
