// test lane: checkout
import { deepEqual, throws } from "node:assert/strict";
import { UsageError } from "../errors.ts";
import { fillHeaders, headerEnvironment } from "./headers.ts";

const ORDER = {
  name: "POST /orders",
  headers: { "Authorization": "Bearer ${HEADERS_TEST}", "X-Shop": "1" },
};

Deno.test("headers take what stands for ${NAME} from the environment", () => {
  Deno.env.set("HEADERS_TEST", "abc");
  deepEqual(fillHeaders(ORDER), { "Authorization": "Bearer abc", "X-Shop": "1" });
  deepEqual(fillHeaders({ name: "GET /" }), {});
  const environment = headerEnvironment([{ name: "GET /" }, ORDER]);
  deepEqual(environment, { POOLSCOPE_HEADER_HEADERS_TEST: "abc" });
});

Deno.test("a variable that is missing, or no text of a header, is one line without its value", () => {
  const message = (value: string, what: RegExp) => {
    Deno.env.set("HEADERS_TEST", value);
    for (const use of [() => fillHeaders(ORDER), () => headerEnvironment([ORDER])]) {
      throws(use, (error: Error) => {
        const begins =
          "Cannot send header Authorization of POST /orders: the environment variable ";
        return error instanceof UsageError && error.message.startsWith(`${begins}HEADERS_TEST `) &&
          what.test(error.message) && !/abc|\n/.test(error.message);
      });
    }
  };
  message("", /is not set; export it before the start$/);
  message("abc\n", /has characters that a header cannot hold; look for a line break at its end$/);
});
