BEGIN TRANSACTION;
CREATE TABLE "artifacts" (
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
INSERT INTO "artifacts" VALUES('art_done','job_done',0,0,'/tmp/out/film.mp4','video/mp4',1234,'abababababababababababababababababababababababababababababababab',1280,720,8.0,24.0,0,'gs://bucket/film.mp4');
CREATE TABLE calls (
    job_id TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    status TEXT NOT NULL,
    operation TEXT,
    remote_uris TEXT,
    expires_at TEXT,
    created_at TEXT NOT NULL, -- of the job
    counted_microusd INTEGER NOT NULL, -- what the call takes from a spending cap: its charge, or its share of the quote
    usage TEXT,
    charge TEXT,
    error TEXT,
    warnings TEXT NOT NULL, samples INTEGER NOT NULL DEFAULT 1, attempt TEXT,
    PRIMARY KEY (job_id, ordinal)
);
INSERT INTO "calls" VALUES('job_running',0,'running','models/veo/operations/1','[]',NULL,'2026-11-21T12:00:00.123456+00:00',500000,NULL,NULL,NULL,'[]',1,NULL);
INSERT INTO "calls" VALUES('job_done',0,'succeeded',NULL,'["https://example.com/clip"]',NULL,'2026-11-21T12:00:00.123456+00:00',350000,'{"input_tokens":0,"output_text_tokens":0,"output_image_tokens":0,"output_video_tokens":7}','{"usd":"0.35","basis":"8 s","certainty":"exact","billed":"yes"}',NULL,'[]',1,NULL);
INSERT INTO "calls" VALUES('job_submitting',0,'submitting',NULL,'[]',NULL,'2026-11-21T12:00:00.123456+00:00',250000,NULL,NULL,NULL,'[]',1,'unknown');
INSERT INTO "calls" VALUES('job_submitting',1,'submitting',NULL,'[]',NULL,'2026-11-21T12:00:00.123456+00:00',250000,NULL,NULL,NULL,'[]',1,'unknown');
INSERT INTO "calls" VALUES('job_unconfirmed',0,'unconfirmed',NULL,'[]',NULL,'2026-11-21T12:00:00.123456+00:00',0,NULL,NULL,'{"code":"submission_unconfirmed","message":"no answer","retryable":false,"billed":"unknown","hint":""}','[]',1,NULL);
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
, profile TEXT, chain_id TEXT, chain_link INTEGER, chain_times INTEGER, chain_stopped TEXT, fence INTEGER NOT NULL DEFAULT 0, due_at TEXT, note TEXT, failures INTEGER NOT NULL DEFAULT 0, fingerprint TEXT, delivered_at TEXT);
INSERT INTO "jobs" VALUES(1,'job_running','video','text_to_video','gemini','gemini','https://example.com','veo-test','720p','running','2026-11-21T12:00:00.123456+00:00','2026-11-21T12:00:00.123456+00:00','1-gone',NULL,NULL,'/tmp/out',NULL,60.0,'a fox 🦊','{"prompt":"a fox \ud83e\udd8a"}','{"prompt":"a fox \ud83e\udd8a","resolution":"720p"}','{"resolution":"default"}','{"usd":"0.50","min_usd":"0.50","max_usd":"0.50","basis":"1 x","as_of":"2026-11-21","source":"https://example.com","certainty":"published"}','[]','[]','{}',NULL,NULL,NULL,NULL,NULL,2,NULL,NULL,0,NULL,NULL);
INSERT INTO "jobs" VALUES(2,'job_done','video','text_to_video','gemini','gemini','https://example.com','veo-test','720p','succeeded','2026-11-21T12:00:00.123456+00:00','2026-11-21T12:00:00.123456+00:00','1-gone','mine','job_running','/tmp/out',NULL,60.0,'a fox','{"prompt":"a fox"}','{"prompt":"a fox","resolution":"720p"}','{"resolution":"default"}','{"usd":"0.50","min_usd":"0.50","max_usd":"0.50","basis":"1 x","as_of":"2026-11-21","source":"https://example.com","certainty":"published"}','[]','["a warning"]','{}',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,0,NULL,NULL);
INSERT INTO "jobs" VALUES(3,'job_submitting','image','text_to_video','gemini','gemini','https://example.com','veo-test','720p','submitting','2026-11-21T12:00:00.123456+00:00','2026-11-21T12:00:00.123456+00:00','1-gone',NULL,NULL,'/tmp/out',NULL,60.0,'a fox','{"prompt":"a fox"}','{"prompt":"a fox","resolution":"720p"}','{"resolution":"default"}','{"usd":"0.50","min_usd":"0.50","max_usd":"0.50","basis":"1 x","as_of":"2026-11-21","source":"https://example.com","certainty":"published"}','[]','[]','{}',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,0,NULL,NULL);
INSERT INTO "jobs" VALUES(4,'job_unconfirmed','video','text_to_video','gemini','gemini','https://example.com','veo-test','720p','unconfirmed','2026-11-21T12:00:00.123456+00:00','2026-11-21T12:00:00.123456+00:00','1-gone',NULL,NULL,'/tmp/out',NULL,60.0,'a fox','{"prompt":"a fox"}','{"prompt":"a fox","resolution":"720p"}','{"resolution":"default"}','{"usd":null,"min_usd":null,"max_usd":null,"basis":"1 x","as_of":"2026-11-21","source":"https://example.com","certainty":"published"}','[]','[]','{}',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,0,NULL,NULL);
CREATE TABLE owners (
    owner_id TEXT PRIMARY KEY NOT NULL,
    expires_at TEXT NOT NULL -- renewed while the process drives jobs
);
INSERT INTO "owners" VALUES('1-gone','2026-11-21T12:00:00.000000+00:00');
CREATE TABLE requests (
    job_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    api TEXT NOT NULL,
    body TEXT, -- JSON; none: the same as that of call 0
    PRIMARY KEY (job_id, ordinal),
    FOREIGN KEY (job_id, ordinal) REFERENCES calls (job_id, ordinal) ON DELETE CASCADE
);
INSERT INTO "requests" VALUES('job_submitting',0,'generate_content','{}');
INSERT INTO "requests" VALUES('job_submitting',1,'generate_content',NULL);
CREATE UNIQUE INDEX jobs_by_request ON jobs (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX jobs_by_kind ON jobs (kind, seq);
CREATE INDEX jobs_by_status ON jobs (status, seq);
CREATE INDEX jobs_open ON jobs (seq) WHERE status IN ('submitting', 'running', 'downloading');
CREATE INDEX jobs_by_model ON jobs (model, resolution, seq)
    WHERE kind = 'video' AND status = 'succeeded' AND backend <> 'emulator';
CREATE INDEX calls_by_time ON calls (created_at, counted_microusd);
CREATE UNIQUE INDEX jobs_by_link ON jobs (chain_id, chain_link) WHERE chain_id IS NOT NULL;
CREATE INDEX artifacts_by_content ON artifacts (sha256);
CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint, seq) WHERE fingerprint IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',4);
COMMIT;
PRAGMA user_version = 6;
