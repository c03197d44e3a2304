-- The same tables and columns as those of SQLite at this number. Times are ISO 8601 in UTC with microseconds, so that
-- they sort as text, byte by byte in whatever locale. Values without a column of their own are JSON.
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version (version) VALUES (0);

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- Last transaction of each connection: tells one whose end got lost whether it was written.
CREATE TABLE writers (writer TEXT PRIMARY KEY, token TEXT NOT NULL, written_at TIMESTAMPTZ NOT NULL);

-- A text as JSON; NULL when it is none.
CREATE FUNCTION mediagen_json(body TEXT) RETURNS JSON LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CAST(body AS JSON);
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

CREATE TABLE jobs (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- order of arrival: what lists and cursors go by
    job_id TEXT COLLATE "C" NOT NULL UNIQUE,
    kind TEXT COLLATE "C" NOT NULL,
    mode TEXT COLLATE "C" NOT NULL,
    backend TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    base_url TEXT COLLATE "C" NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    resolution TEXT COLLATE "C",
    status TEXT COLLATE "C" NOT NULL, -- follows from the calls; kept here for the indexes
    created_at TEXT COLLATE "C" NOT NULL,
    updated_at TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C", -- process that drives the job
    request_id TEXT COLLATE "C",
    profile TEXT COLLATE "C",
    parent_job_id TEXT COLLATE "C",
    output_dir TEXT COLLATE "C" NOT NULL,
    output_name TEXT COLLATE "C",
    estimated_seconds DOUBLE PRECISION NOT NULL,
    folded_prompt TEXT COLLATE "C" NOT NULL, -- for searching without regard to case
    requested TEXT NOT NULL,
    effective TEXT NOT NULL,
    origins TEXT NOT NULL,
    quote TEXT NOT NULL,
    adjustments TEXT NOT NULL,
    warnings TEXT NOT NULL,
    input_files TEXT NOT NULL,
    chain_id TEXT COLLATE "C", -- job_id of the first link
    chain_link INTEGER, -- from 1
    chain_times INTEGER,
    chain_stopped TEXT -- why no link follows this one
);

CREATE UNIQUE INDEX jobs_by_request ON jobs (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX jobs_by_kind ON jobs (kind, seq);
CREATE INDEX jobs_by_status ON jobs (status, seq);
CREATE INDEX jobs_open ON jobs (seq) WHERE status IN ('submitting', 'running', 'downloading');
CREATE INDEX jobs_by_model ON jobs (model, resolution, seq)
    WHERE kind = 'video' AND status = 'succeeded' AND backend <> 'emulator';
-- Two processes that go on with the same chain make each link once.
CREATE UNIQUE INDEX jobs_by_link ON jobs (chain_id, chain_link) WHERE chain_id IS NOT NULL;

CREATE TABLE calls (
    job_id TEXT COLLATE "C" NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C",
    remote_uris TEXT COLLATE "C",
    expires_at TEXT COLLATE "C",
    created_at TEXT COLLATE "C" NOT NULL, -- of the job
    counted_microusd BIGINT NOT NULL, -- what the call takes from a spending cap: its charge, or its share of the quote
    usage TEXT,
    charge TEXT,
    error TEXT,
    warnings TEXT NOT NULL,
    samples INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (job_id, ordinal)
);

CREATE INDEX calls_by_time ON calls (created_at, counted_microusd);

CREATE TABLE artifacts (
    artifact_id TEXT COLLATE "C" PRIMARY KEY,
    job_id TEXT COLLATE "C" NOT NULL,
    ordinal INTEGER NOT NULL,
    sample INTEGER NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    mime_type TEXT COLLATE "C" NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    width INTEGER,
    height INTEGER,
    duration_seconds DOUBLE PRECISION,
    fps DOUBLE PRECISION,
    has_audio BOOLEAN,
    gcs_uri TEXT COLLATE "C",
    UNIQUE (job_id, ordinal, sample),
    FOREIGN KEY (job_id, ordinal) REFERENCES calls (job_id, ordinal) ON DELETE CASCADE
);

-- A file is found again by its content, wherever it was moved and however it is called now.
CREATE INDEX artifacts_by_content ON artifacts (sha256);
