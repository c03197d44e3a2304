-- Times are ISO 8601 in UTC with microseconds, so that they sort as text. Values without a column of their own are JSON.
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival: what lists and cursors go by
    job_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    mode TEXT NOT NULL,
    backend TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    base_url TEXT NOT NULL,
    model TEXT NOT NULL,
    resolution TEXT,
    status TEXT NOT NULL, -- follows from the calls; kept here for the indexes
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    owner TEXT, -- process that drives the job
    request_id TEXT,
    parent_job_id TEXT,
    output_dir TEXT NOT NULL,
    output_name TEXT,
    estimated_seconds REAL NOT NULL,
    folded_prompt TEXT NOT NULL, -- for searching without regard to case
    requested TEXT NOT NULL,
    effective TEXT NOT NULL,
    origins TEXT NOT NULL,
    quote TEXT NOT NULL,
    adjustments TEXT NOT NULL,
    warnings TEXT NOT NULL,
    input_files TEXT NOT NULL
);

CREATE UNIQUE INDEX jobs_by_request ON jobs (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX jobs_by_kind ON jobs (kind, seq);
CREATE INDEX jobs_by_status ON jobs (status, seq);
CREATE INDEX jobs_open ON jobs (seq) WHERE status IN ('submitting', 'running', 'downloading');
CREATE INDEX jobs_by_model ON jobs (model, resolution, seq)
    WHERE kind = 'video' AND status = 'succeeded' AND backend <> 'emulator';

CREATE TABLE calls (
    job_id TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    status TEXT NOT NULL,
    operation TEXT,
    remote_uri TEXT,
    expires_at TEXT,
    created_at TEXT NOT NULL, -- of the job
    counted_microusd INTEGER NOT NULL, -- what the call takes from a spending cap: its charge, or its share of the quote
    usage TEXT,
    charge TEXT,
    error TEXT,
    warnings TEXT NOT NULL,
    PRIMARY KEY (job_id, ordinal)
);

CREATE INDEX calls_by_time ON calls (created_at, counted_microusd);

CREATE TABLE artifacts (
    artifact_id TEXT PRIMARY KEY NOT NULL,
    job_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
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
    UNIQUE (job_id, ordinal),
    FOREIGN KEY (job_id, ordinal) REFERENCES calls (job_id, ordinal) ON DELETE CASCADE
);
