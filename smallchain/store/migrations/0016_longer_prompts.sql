-- What a token costs that a provider writes to its cache, and the rates of longer prompts: [[above, input, output, cached_input, cache_write], ...].
ALTER TABLE prices ADD COLUMN cache_write INTEGER;
ALTER TABLE prices ADD COLUMN longer TEXT NOT NULL DEFAULT '[]';
