-- What is looked for again and again has an index, so that its cost does not grow with the history.
CREATE INDEX runs_numbered ON runs (length(name), name) WHERE parent_id IS NULL;
CREATE INDEX requests_by_run ON requests (run_id);
