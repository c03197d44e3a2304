-- One paid call may make several files, and a job remembers whose credentials sent it.
ALTER TABLE jobs ADD COLUMN profile TEXT;

ALTER TABLE calls ADD COLUMN samples INTEGER NOT NULL DEFAULT 1;
ALTER TABLE calls RENAME COLUMN remote_uri TO remote_uris;
UPDATE calls SET remote_uris = CASE WHEN remote_uris IS NULL THEN '[]' ELSE json_array(remote_uris) END;

CREATE TABLE artifacts_of_samples (
    artifact_id TEXT PRIMARY KEY NOT NULL,
    job_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    sample INTEGER NOT NULL,
    path TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    width INTEGER,
    height INTEGER,
    duration_seconds REAL,
    fps REAL,
    has_audio INTEGER,
    gcs_uri TEXT,
    UNIQUE (job_id, ordinal, sample),
    FOREIGN KEY (job_id, ordinal) REFERENCES calls (job_id, ordinal) ON DELETE CASCADE
);
INSERT INTO artifacts_of_samples
SELECT
    artifact_id, job_id, ordinal, 0, path, mime_type, size_bytes, sha256, width, height, duration_seconds, fps,
    has_audio, gcs_uri
FROM artifacts;
DROP TABLE artifacts;
ALTER TABLE artifacts_of_samples RENAME TO artifacts;
