-- add: a call that starts
INSERT INTO counted_calls (counted_by, run_id, at) VALUES (:counted_by, :run_id, :at);

-- nth_since: when the n-th of the newest calls within a window was made, if there are so many
SELECT at FROM counted_calls WHERE counted_by = :counted_by AND at >= :since ORDER BY at DESC LIMIT 1 OFFSET :before;

-- nth_of_run: the same within a run
SELECT at FROM counted_calls WHERE counted_by = :counted_by AND run_id = :run_id LIMIT 1 OFFSET :before;

-- count: how many there are within a window
SELECT count(*) AS count FROM counted_calls WHERE counted_by = :counted_by AND at >= :since;

-- come_back: what a clock that ran ahead recorded
UPDATE counted_calls SET at = :now WHERE at > :now;
