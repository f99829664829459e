-- 2,000 products, 5,000 customers and 20,000 orders: the same rows every time, from arithmetic alone.

INSERT INTO products (id, name, category, price_cents, stock)
SELECT
    n,
    'Product ' || lpad(n::text, 4, '0'),
    (ARRAY['books', 'garden', 'kitchen', 'music', 'toys'])[1 + n % 5],
    100 + n * 7919 % 9900,
    -- More than any load takes away.
    1000000
FROM generate_series(1, 2000) AS n;

INSERT INTO customers (id, email)
SELECT n, 'customer_' || lpad(n::text, 4, '0') || '@example.com'
FROM generate_series(1, 5000) AS n;

INSERT INTO orders (id, customer_id, product_id, quantity, total_cents, created_at)
SELECT
    n,
    1 + n * 4799 % 5000,
    p.id,
    1 + n % 3,
    (1 + n % 3) * p.price_cents,
    timestamptz '2024-01-01 00:00:00Z' + n * interval '1261 seconds'
FROM generate_series(1, 20000) AS n JOIN products AS p ON p.id = 1 + n * 1039 % 2000;

-- The rows above brought their own ids; new ones continue after them.
ALTER TABLE products ALTER COLUMN id RESTART WITH 2001;
ALTER TABLE customers ALTER COLUMN id RESTART WITH 5001;
ALTER TABLE orders ALTER COLUMN id RESTART WITH 20001;
