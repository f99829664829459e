-- 10,000 users and 50,000 posts: the same rows every time, from arithmetic alone.
--
-- Users 1 to 9,900 have 503 to 2 posts, the fewer the higher the id; the last 100 have none. Every
-- post has its own second. Texts are slices of one made-up text, 200 to 600 characters long.
--
-- Afterwards, in a statement of its own, run VACUUM (FREEZE, ANALYZE): copies of the database then
-- begin with the visibility map and hint bits set, and no run pays for setting them.

INSERT INTO users (id, username, full_name, created_at)
SELECT
    n,
    'user_' || lpad(n::text, 5, '0'),
    (ARRAY['Ada', 'Bo', 'Chloé', 'Dmitri', 'Emre', 'Fatima', 'Grace', 'Hiro', 'Ines', 'José',
           'Kofi', 'Łucja', 'Mei', 'Nadia', 'Omar', 'Priya', 'Quinn'])[1 + n % 17]
    || ' ' ||
    (ARRAY['Abel', 'Bauer', 'Costa', 'Diaz', 'Endo', 'Fischer', 'Garcia', 'Haddad', 'Ivanova',
           'Jensen', 'Kowalski', 'Larsen', 'Mensah', 'Nguyen', 'Okafor', 'Patel', 'Rossi', 'Sato',
           'Tanaka'])[1 + n % 19],
    timestamptz '2021-01-01 00:00:00Z' + n * interval '1 hour'
FROM generate_series(1, 10000) AS n;

WITH text AS MATERIALIZED (
    -- About 4,000 characters; twice, so that a slice may begin anywhere in the first copy.
    SELECT repeat(string_agg((
        ARRAY['pool', 'server', 'client', 'query', 'a', 'the', 'waits', 'for', 'connection', 'and',
              'then', 'reads', 'every', 'row', 'of', 'its', 'table', 'while', 'another', 'session',
              'holds', 'one', 'lock', 'that', 'nobody', 'needs', 'until', 'commit', 'returns', 'it']
        )[1 + (word::bigint * word * 2654435761 / 65536 % 30)::int], ' ' ORDER BY word) || ' ', 2) AS words
    FROM generate_series(1, 800) AS word
)
INSERT INTO posts (id, author_id, title, body, created_at)
SELECT
    n,
    -- slot runs through 0 to 49,999 once, in scattered order; its square makes low ids frequent.
    1 + slot * slot * 99 / 25000000,
    'Post ' || n || ': ' || trim(substr(words, (1 + n * 6007 % 3000)::int, 40)),
    substr(words, (1 + n * 104729 % 3000)::int, (200 + n * 7919 % 401)::int),
    -- The fraction has zeros at its end for some posts, and post 10,007 has none at all.
    timestamptz '2022-03-01 00:00:00Z' + n * interval '1261 seconds'
        + (n * 7919 % 10007) * interval '100 microseconds'
FROM text, generate_series(1::bigint, 50000) AS n, LATERAL (SELECT n * 17389 % 50000 AS slot) AS s;

-- The rows above brought their own ids; new ones continue after them.
ALTER TABLE users ALTER COLUMN id RESTART WITH 10001;
ALTER TABLE posts ALTER COLUMN id RESTART WITH 50001;

ANALYZE users;
ANALYZE posts;
