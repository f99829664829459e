// test lane: checkout
import { deepEqual, throws } from "node:assert/strict";
import { splitScript } from "./seed.ts";

const DUMP = String.raw`--
-- PostgreSQL database dump
--
\restrict aBcD
SET search_path = '';
CREATE TABLE public.items (id integer, name text);

COPY public.items (id, name) FROM stdin;
1	a bolt
2	\\N\tor so
\.

SELECT pg_catalog.setval('public.items_id_seq', 2, true);
\unrestrict aBcD
`;

Deno.test("splitScript() reads a dump as pg_dump writes it, and knows each part's line", () => {
  const parts = splitScript(DUMP, "seed.sql");
  deepEqual(parts.map(({ line, rows }) => [line, rows]), [
    [1, null],
    [8, "1\ta bolt\n2\t\\\\N\\tor so\n"],
    [12, null],
  ]);
  // Lines keep their numbers, so that an error of PostgreSQL's is told with its own.
  deepEqual(parts[0]!.sql.split("\n")[4], "SET search_path = '';");
});

Deno.test("splitScript() refuses what only psql knows, and rows without an end, naming the line", () => {
  throws(
    () => splitScript("SELECT 1;\n\\copy items from 'items.csv'\n", "seed.sql"),
    /^PoolscopeError: Cannot read seed\.sql, line 2: \\copy is a command of psql's/,
  );
  throws(
    () => splitScript("COPY items FROM stdin;\n1\n", "seed.sql"),
    /Cannot read seed\.sql, line 1: COPY without \\\. at its end/,
  );
});
