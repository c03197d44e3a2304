-- Whose job it is where several people share a server, and the jobs that wait until somebody agrees to their price.
ALTER TABLE jobs ADD COLUMN principal TEXT COLLATE "C"; -- none: of whoever owns this machine
DROP INDEX jobs_by_request;
CREATE UNIQUE INDEX jobs_by_request ON jobs (coalesce(principal, ''), request_id) WHERE request_id IS NOT NULL;
CREATE INDEX jobs_by_principal ON jobs (principal, seq) WHERE principal IS NOT NULL;

CREATE TABLE approvals (
    job_id TEXT COLLATE "C" PRIMARY KEY NOT NULL, -- of the job that is made once it is agreed to
    principal TEXT COLLATE "C",
    tool TEXT COLLATE "C" NOT NULL,
    arguments TEXT COLLATE "C" NOT NULL, -- JSON, as the caller gave them
    question TEXT COLLATE "C" NOT NULL,
    usd TEXT COLLATE "C" NOT NULL, -- what is agreed to at most
    fingerprint TEXT COLLATE "C", -- of what is agreed to
    created_at TEXT COLLATE "C" NOT NULL,
    decision TEXT COLLATE "C", -- accept, decline or cancel; none: nobody has answered
    decided_at TEXT COLLATE "C",
    outcome TEXT COLLATE "C" -- JSON: why nothing was made although it was agreed to
);

-- What a job usually takes is told of pictures too, and of what the emulator made.
DROP INDEX jobs_by_model;
CREATE INDEX jobs_by_model ON jobs (model, resolution, seq) WHERE status = 'succeeded';
