-- Whose job it is where several people share a server, and the jobs that wait until somebody agrees to their price.
ALTER TABLE jobs ADD COLUMN principal TEXT; -- none: of whoever owns this machine
DROP INDEX jobs_by_request;
CREATE UNIQUE INDEX jobs_by_request ON jobs (coalesce(principal, ''), request_id) WHERE request_id IS NOT NULL;
CREATE INDEX jobs_by_principal ON jobs (principal, seq) WHERE principal IS NOT NULL;

CREATE TABLE approvals (
    job_id TEXT PRIMARY KEY NOT NULL, -- of the job that is made once it is agreed to
    principal TEXT,
    tool TEXT NOT NULL,
    arguments TEXT NOT NULL, -- JSON, as the caller gave them
    question TEXT NOT NULL,
    usd TEXT NOT NULL, -- what is agreed to at most
    fingerprint TEXT, -- of what is agreed to
    created_at TEXT NOT NULL,
    decision TEXT, -- accept, decline or cancel; none: nobody has answered
    decided_at TEXT,
    outcome TEXT -- JSON: why nothing was made although it was agreed to
);

-- What a job usually takes is told of pictures too, and of what the emulator made.
DROP INDEX jobs_by_model;
CREATE INDEX jobs_by_model ON jobs (model, resolution, seq) WHERE status = 'succeeded';
