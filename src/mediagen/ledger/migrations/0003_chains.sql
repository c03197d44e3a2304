-- Several extensions asked for at once: a chain of jobs, each of which goes on from the result of the one before.
ALTER TABLE jobs ADD COLUMN chain_id TEXT; -- job_id of the first link
ALTER TABLE jobs ADD COLUMN chain_link INTEGER; -- from 1
ALTER TABLE jobs ADD COLUMN chain_times INTEGER;
ALTER TABLE jobs ADD COLUMN chain_stopped TEXT; -- why no link follows this one

-- Two processes that go on with the same chain make each link once.
CREATE UNIQUE INDEX jobs_by_link ON jobs (chain_id, chain_link) WHERE chain_id IS NOT NULL;
