-- Leases: who may take the next step of a job, and that nobody sends a paid request that another may have sent.
CREATE TABLE owners (
    owner_id TEXT COLLATE "C" PRIMARY KEY,
    expires_at TIMESTAMPTZ NOT NULL -- by the clock of the database; renewed while the process drives jobs
);

ALTER TABLE jobs ADD COLUMN fence INTEGER NOT NULL DEFAULT 0; -- counts the claims: a step of an older one changes nothing
ALTER TABLE jobs ADD COLUMN due_at TEXT COLLATE "C"; -- no step is due before this moment
ALTER TABLE jobs ADD COLUMN note TEXT; -- what keeps it from going on
ALTER TABLE jobs ADD COLUMN failures INTEGER NOT NULL DEFAULT 0; -- steps that failed one after another
ALTER TABLE calls ADD COLUMN attempt TEXT COLLATE "C"; -- token of the one who may have sent it; none: nobody has

-- Of these nobody knows whether they were sent.
UPDATE calls SET attempt = 'unknown' WHERE status = 'submitting';

-- What is to be sent; removed once every call of the job has left 'submitting'.
CREATE TABLE requests (
    job_id TEXT COLLATE "C" NOT NULL,
    ordinal INTEGER NOT NULL,
    api TEXT COLLATE "C" NOT NULL,
    body TEXT, -- JSON; none: the same as that of call 0
    PRIMARY KEY (job_id, ordinal),
    FOREIGN KEY (job_id, ordinal) REFERENCES calls (job_id, ordinal) ON DELETE CASCADE
);
