-- Which wish a job fulfils, and whether a caller was told how it ended: the same request again, after an answer that
-- never arrived, is not paid twice.
ALTER TABLE jobs ADD COLUMN fingerprint TEXT COLLATE "C"; -- of what was asked for; none: no later request is the same
ALTER TABLE jobs ADD COLUMN delivered_at TEXT COLLATE "C"; -- when a caller was first told the end

CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint, seq) WHERE fingerprint IS NOT NULL;
