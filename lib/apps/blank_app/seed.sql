INSERT INTO items (id, name) SELECT n, 'Item ' || n FROM generate_series(1, 1000) AS n;

-- New ones continue after them.
ALTER TABLE items ALTER COLUMN id RESTART WITH 1001;
