/** The shop's routes. */

import express from "express";
import { config } from "./config.js";
import { query, transaction } from "./db.js";

const PRODUCT = {
  name: "product",
  text: "SELECT id, name, category, price_cents, stock FROM products WHERE id = $1",
};
const PRODUCTS_OF_CATEGORY = {
  name: "products_of_category",
  text: `SELECT id, name, price_cents, stock FROM products
    WHERE category = $1 ORDER BY id DESC LIMIT 20`,
};
const ORDERS_OF_CUSTOMER = {
  name: "orders_of_customer",
  text: `SELECT o.id, o.quantity, o.total_cents, o.created_at, p.name AS product
    FROM orders o JOIN products p ON p.id = o.product_id
    WHERE o.customer_id = $1 ORDER BY o.id DESC LIMIT 20`,
};
const TAKE_FROM_STOCK = {
  name: "take_from_stock",
  text: `UPDATE products SET stock = stock - $2 WHERE id = $1 AND stock >= $2
    RETURNING price_cents`,
};
const INSERT_ORDER = {
  name: "insert_order",
  text: `INSERT INTO orders (customer_id, product_id, quantity, total_cents, created_at)
    VALUES ($1, $2, $3, $4, now()) RETURNING id, total_cents, created_at`,
};

/** PostgreSQL's code for a reference to a row that is not there. */
const FOREIGN_KEY_VIOLATION = "23503";

/** An error with an answer of its own. */
function refusal(status, message) {
  return Object.assign(new Error(message), { status });
}

function parseNumber(value, name, max = 2_147_483_647) {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1 && number <= max) return number;
  throw refusal(422, `${name} must be an integer from 1 to ${max}`);
}

export const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.use(express.json());

app.get("/healthz", (_request, response) => {
  response.json({
    status: "ok",
    app: "node",
    nonce: config.nonce,
    worker: process.pid,
  });
});

app.get("/products/:id", async (request, response) => {
  const [product] = await query(PRODUCT, [parseNumber(request.params.id, "id")]);
  if (product === undefined) throw refusal(404, "Product not found");
  response.json(product);
});

app.get("/products", async (request, response) => {
  const { category } = request.query;
  if (typeof category !== "string") {
    throw refusal(422, "category must be given once");
  }
  response.json(await query(PRODUCTS_OF_CATEGORY, [category]));
});

app.get("/customers/:id/orders", async (request, response) => {
  response.json(
    await query(ORDERS_OF_CUSTOMER, [parseNumber(request.params.id, "id")]),
  );
});

app.post("/orders", async (request, response) => {
  const body = request.body ?? {};
  const customer = parseNumber(body.customer_id, "customer_id");
  const product = parseNumber(body.product_id, "product_id");
  const quantity = parseNumber(body.quantity, "quantity", 100);
  const order = await transaction(async (query) => {
    const [taken] = await query(TAKE_FROM_STOCK, [product, quantity]);
    if (taken === undefined) throw refusal(409, "Not in stock");
    const total = taken.price_cents * quantity;
    const [order] = await query(INSERT_ORDER, [
      customer,
      product,
      quantity,
      total,
    ]);
    return order;
  }).catch((error) => {
    throw error.code === FOREIGN_KEY_VIOLATION ? refusal(404, "Customer not found") : error;
  });
  response.status(201).json(order);
});

app.use(() => {
  throw refusal(404, "Not Found");
});

/** Express knows an error handler by its four parameters. */
app.use((error, request, response, _next) => {
  const status = error.status ?? 500;
  if (status >= 500) {
    console.error(`${request.method} ${request.path} failed: ${error.message}`);
  }
  response.status(status).json({
    detail: status >= 500 ? "Internal Server Error" : error.message,
  });
});
