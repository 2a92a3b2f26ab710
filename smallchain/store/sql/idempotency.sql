-- get: what was answered under a key
SELECT asked, answer FROM idempotency WHERE key = :key;

-- put: keep an answer, in the transaction of its change
INSERT INTO idempotency (key, asked, answer, at) VALUES (:key, :asked, :answer, :at);

-- sweep: forget answers older than a moment
DELETE FROM idempotency WHERE at < :before;
