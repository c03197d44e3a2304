"""Every statement that the ledger runs, by name: in the words of SQLite, for which `engines.dialect` has others."""

BEGIN_READ = "BEGIN"
BEGIN_WRITE = "BEGIN IMMEDIATE"
COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"

# EXTRA is FULL plus a sync of the folder after the rollback journal is removed: without it the last commit may be
# undone by a power cut.
SYNCHRONOUS = "PRAGMA synchronous = EXTRA"
FOREIGN_KEYS = "PRAGMA foreign_keys = ON"
JOURNAL_MODE = "PRAGMA journal_mode"
SET_JOURNAL_MODE = {
    "delete": "PRAGMA journal_mode = DELETE",
    "wal": "PRAGMA journal_mode = WAL",
}
QUICK_CHECK = "PRAGMA quick_check(1)"
FULL_CHECK = "PRAGMA integrity_check(1)"
SELECT_FOLDERS = "SELECT DISTINCT output_dir FROM jobs"
USER_VERSION = "PRAGMA user_version"
SET_USER_VERSION = "PRAGMA user_version = {version:d}"
COUNT_TABLES = "SELECT count(*) FROM sqlite_master"

INSERT_JOB = """
INSERT INTO jobs (
    job_id, kind, mode, backend, endpoint, base_url, model, resolution, status, created_at, updated_at, owner,
    request_id, profile, parent_job_id, output_dir, output_name, estimated_seconds, folded_prompt, requested, effective,
    origins, quote, adjustments, warnings, input_files, chain_id, chain_link, chain_times, fence, fingerprint,
    principal
) VALUES (
    :job_id, :kind, :mode, :backend, :endpoint, :base_url, :model, :resolution, :status, :created_at, :updated_at,
    :owner, :request_id, :profile, :parent_job_id, :output_dir, :output_name, :estimated_seconds, :folded_prompt,
    :requested, :effective, :origins, :quote, :adjustments, :warnings, :input_files, :chain_id, :chain_link,
    :chain_times, :fence, :fingerprint, :principal
)
"""

INSERT_CALL = """
INSERT INTO calls (
    job_id, ordinal, samples, status, operation, remote_uris, expires_at, created_at,
    counted_microusd, usage, charge, error, warnings, attempt
) VALUES (
    :job_id, :ordinal, :samples, :status, :operation, :remote_uris, :expires_at, :created_at,
    :counted_microusd, :usage, :charge, :error, :warnings, :attempt
)
"""

INSERT_ARTIFACT = """
INSERT INTO artifacts (
    artifact_id, job_id, ordinal, sample, path, mime_type, size_bytes, sha256, width, height, duration_seconds, fps,
    has_audio, gcs_uri
) VALUES (
    :artifact_id, :job_id, :ordinal, :sample, :path, :mime_type, :size_bytes, :sha256, :width, :height,
    :duration_seconds, :fps, :has_audio, :gcs_uri
)
"""

UPDATE_CALL = """
UPDATE calls
SET status = :status, operation = :operation, remote_uris = :remote_uris, expires_at = :expires_at,
    counted_microusd = :counted_microusd,
    usage = :usage, charge = :charge, error = :error, warnings = :warnings
WHERE job_id = :job_id AND ordinal = :ordinal AND status = :expected
"""

INSERT_REQUEST = "INSERT INTO requests (job_id, ordinal, api, body) VALUES (:job_id, :ordinal, :api, :body)"
SELECT_REQUEST_BODY = """
SELECT asked.api, coalesce(asked.body, first.body) AS body
FROM requests AS asked JOIN requests AS first ON first.job_id = asked.job_id AND first.ordinal = 0
WHERE asked.job_id = :job_id AND asked.ordinal = :ordinal
"""
FORGET_SENT_REQUESTS = """
DELETE FROM requests WHERE job_id = :job_id
    AND NOT EXISTS (SELECT 1 FROM calls WHERE calls.job_id = :job_id AND calls.status = 'submitting')
"""

# The token is set once; it is taken back only by who knows that nothing left under it.
BEGIN_ATTEMPT = """
UPDATE calls SET attempt = :attempt
WHERE job_id = :job_id AND ordinal = :ordinal AND status = 'submitting' AND attempt IS NULL
    AND EXISTS (SELECT 1 FROM jobs WHERE jobs.job_id = :job_id AND jobs.fence = :fence)
"""
TAKE_BACK_ATTEMPT = """
UPDATE calls SET attempt = NULL
WHERE job_id = :job_id AND ordinal = :ordinal AND status = 'submitting' AND attempt = :attempt
    AND EXISTS (SELECT 1 FROM jobs WHERE jobs.job_id = :job_id AND jobs.fence = :fence)
"""

SELECT_OVERDUE = """
SELECT job_id, owner FROM jobs
WHERE status IN ('submitting', 'running', 'downloading')
    AND (coalesce(due_at, created_at) < :before OR due_at > :beyond)
ORDER BY seq
"""
CLAIM_JOB = "UPDATE jobs SET owner = :owner, fence = fence + 1 WHERE job_id = :job_id"
HAND_BACK = """
UPDATE jobs SET owner = NULL, due_at = :due_at, note = :note, failures = :failures
WHERE job_id = :job_id AND fence = :fence
"""
NOTE = "UPDATE jobs SET note = :note, failures = :failures WHERE job_id = :job_id AND fence = :fence"
RENEW_OWNER = """
INSERT INTO owners (owner_id, expires_at) VALUES (:owner_id, :expires_at)
ON CONFLICT (owner_id) DO UPDATE SET expires_at = excluded.expires_at
"""
SELECT_OWNER = "SELECT expires_at FROM owners WHERE owner_id = :owner_id"
DELETE_OWNER = "DELETE FROM owners WHERE owner_id = :owner_id"

TOUCH_JOB = """
UPDATE jobs SET status = :status, updated_at = :updated_at, owner = CASE WHEN :is_over THEN NULL ELSE owner END
WHERE job_id = :job_id
"""
# Two principals may use the same id of their own; the expression is that of jobs_by_request.
FORGET_REQUEST = """
UPDATE jobs SET request_id = NULL
WHERE coalesce(principal, '') = coalesce(:principal, '') AND request_id = :request_id
"""

# A chain is as far as its newest link. What failed is asked for anew at once; not so the rest of a chain, of which
# something is made and paid for.
SELECT_REPEATS = """
SELECT wish.job_id, wish.request_id
FROM jobs AS wish JOIN jobs AS newest ON newest.job_id = coalesce(
    (SELECT link.job_id FROM jobs AS link WHERE link.chain_id = wish.chain_id ORDER BY link.chain_link DESC LIMIT 1),
    wish.job_id
)
WHERE wish.fingerprint = :fingerprint AND coalesce(wish.principal, '') = coalesce(:principal, '') AND (
    newest.status IN ('submitting', 'running', 'downloading')
    OR (newest.updated_at >= :since AND newest.status = 'unconfirmed')
    OR (
        newest.updated_at >= :since AND newest.delivered_at IS NULL
        AND (newest.status = 'succeeded' OR newest.chain_link > 1)
    )
)
ORDER BY wish.seq DESC
"""
NAME_REQUEST = "UPDATE jobs SET request_id = :request_id WHERE job_id = :job_id"
MARK_DELIVERED = """
UPDATE jobs SET delivered_at = :now
WHERE job_id = :job_id AND delivered_at IS NULL AND status NOT IN ('submitting', 'running', 'downloading')
"""

INSERT_APPROVAL = """
INSERT INTO approvals (job_id, principal, tool, arguments, question, usd, fingerprint, created_at)
VALUES (:job_id, :principal, :tool, :arguments, :question, :usd, :fingerprint, :created_at)
"""
SELECT_APPROVAL = "SELECT * FROM approvals WHERE job_id = :job_id"
SELECT_OPEN_APPROVALS = """
SELECT * FROM approvals
WHERE decision IS NULL AND created_at >= :oldest AND coalesce(principal, '') = coalesce(:principal, '')
ORDER BY job_id
"""
# Arguments may hold whole pictures; they are of use until the job is made.
DECIDE_APPROVAL = """
UPDATE approvals
SET decision = :decision, decided_at = :decided_at, arguments = CASE WHEN :is_yes THEN arguments ELSE '{}' END
WHERE job_id = :job_id AND decision IS NULL AND created_at >= :oldest
"""
END_APPROVAL = """
UPDATE approvals SET outcome = :outcome, arguments = '{}' WHERE job_id = :job_id AND outcome IS NULL
"""
SELECT_SAME_APPROVALS = """
SELECT * FROM approvals
WHERE fingerprint = :fingerprint AND coalesce(principal, '') = coalesce(:principal, '') AND outcome IS NULL
    AND (decision IS NULL OR decision = 'accept')
"""
FULFIL_APPROVAL = """
UPDATE approvals SET decision = 'accept', decided_at = coalesce(decided_at, :now), outcome = :outcome, arguments = '{}'
WHERE job_id = :job_id
"""
FORGET_APPROVALS = "DELETE FROM approvals WHERE created_at < :before"

SELECT_JOB = "SELECT * FROM jobs WHERE job_id = :job_id"
# All of the columns that a statement above sets and that a job is read from; files come with the end of their call.
CHANGING_OF_JOB = ("status", "updated_at", "fence", "due_at", "note", "failures", "request_id", "chain_stopped")
CHANGING_OF_CALL = (
    "status",
    "operation",
    "attempt",
    "remote_uris",
    "expires_at",
    "usage",
    "charge",
    "error",
    "warnings",
)
SELECT_CHANGING = f"""
SELECT {", ".join(f"jobs.{name}" for name in CHANGING_OF_JOB)},
    {", ".join(f"calls.{name} AS call_{name}" for name in CHANGING_OF_CALL)}
FROM jobs JOIN calls ON calls.job_id = jobs.job_id
WHERE jobs.job_id = :job_id ORDER BY calls.ordinal
"""  # noqa: S608 - the names are those above
SELECT_REQUEST = """
SELECT * FROM jobs WHERE coalesce(principal, '') = coalesce(:principal, '') AND request_id = :request_id
"""
SELECT_CHAIN = "SELECT * FROM jobs WHERE chain_id = :chain_id ORDER BY chain_link"
SELECT_LINK = "SELECT * FROM jobs WHERE chain_id = :chain_id AND chain_link = :link"
SELECT_INTERRUPTED_LINKS = """
SELECT * FROM jobs AS link
WHERE chain_id IS NOT NULL AND chain_link < chain_times AND chain_stopped IS NULL AND status = 'succeeded'
    AND updated_at >= :since
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS next WHERE next.chain_id = link.chain_id AND next.chain_link = link.chain_link + 1
    )
ORDER BY seq
"""
STOP_CHAIN = """
UPDATE jobs SET chain_stopped = :reason
WHERE job_id = :job_id AND chain_id IS NOT NULL AND chain_link < chain_times AND chain_stopped IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS next WHERE next.chain_id = jobs.chain_id AND next.chain_link = jobs.chain_link + 1
    )
"""
SELECT_CALLS = """
SELECT * FROM calls WHERE job_id IN (SELECT value FROM json_each(:job_ids)) ORDER BY job_id, ordinal
"""
SELECT_CALLS_OF_JOB = "SELECT * FROM calls WHERE job_id = :job_id ORDER BY ordinal"
SELECT_ARTIFACTS_OF_JOB = "SELECT * FROM artifacts WHERE job_id = :job_id ORDER BY ordinal, sample"
SELECT_ARTIFACTS = """
SELECT * FROM artifacts WHERE job_id IN (SELECT value FROM json_each(:job_ids)) ORDER BY job_id, ordinal, sample
"""
# Newest first by calls_by_time, and no further than an address can still matter: no index serves a part of a list.
SELECT_REMOTE = """
SELECT job_id, ordinal, remote_uris FROM (
    SELECT job_id, ordinal, status, remote_uris FROM calls ORDER BY created_at DESC LIMIT 20000
) AS latest WHERE status = 'succeeded' AND instr(remote_uris, :name)
"""
# By calls_by_time, and no further back than anybody still looks.
SELECT_UNSETTLED = """
SELECT * FROM jobs WHERE job_id IN (
    SELECT job_id FROM calls
    WHERE created_at >= :since
        AND (
            status = 'unconfirmed'
            OR (status = 'failed' AND json_valid(error) AND json_extract(error, '$.code') = 'not_made')
        )
) ORDER BY seq
"""
SELECT_BY_OPERATION = "SELECT job_id FROM calls WHERE operation = :operation ORDER BY job_id LIMIT 1"
SELECT_ARTIFACT_JOB = "SELECT job_id FROM artifacts WHERE artifact_id = :artifact_id"
SELECT_FILES_OF_CONTENT = """
SELECT artifacts.artifact_id, artifacts.job_id FROM artifacts JOIN jobs USING (job_id)
WHERE artifacts.sha256 = :sha256 AND (:is_all OR jobs.principal = :principal)
ORDER BY jobs.seq DESC, artifacts.ordinal, artifacts.sample LIMIT :limit
"""
# Ids sort by time: no page reads more rows than it shows, however many there are.
LIST_ARTIFACTS = """
SELECT artifacts.*, jobs.updated_at AS made_at, jobs.model, jobs.requested
FROM artifacts JOIN jobs ON jobs.job_id = artifacts.job_id
WHERE artifacts.artifact_id < :before AND (:is_all OR jobs.principal = :principal)
ORDER BY artifacts.artifact_id DESC LIMIT :limit
"""
# Among the newest only: no index serves a part of an id.
COMPLETE_JOB_IDS = """
SELECT job_id AS id FROM jobs
WHERE job_id >= coalesce((SELECT job_id FROM jobs ORDER BY job_id DESC LIMIT 1 OFFSET 19999), '')
    AND instr(job_id, :text) AND instr(kind, :kind) AND (:is_all OR principal = :principal)
ORDER BY job_id DESC LIMIT :limit
"""
COMPLETE_ARTIFACT_IDS = """
SELECT artifact_id AS id FROM artifacts
WHERE artifact_id >= coalesce((SELECT artifact_id FROM artifacts ORDER BY artifact_id DESC LIMIT 1 OFFSET 19999), '')
    AND instr(artifact_id, :text) AND instr(mime_type, :kind)
    AND (:is_all OR job_id IN (SELECT job_id FROM jobs WHERE principal = :principal))
ORDER BY artifact_id DESC LIMIT :limit
"""
# What tells whether a caller would be told something new of a job: without reading its wide columns.
SELECT_STATES = """
SELECT
    job_id, chain_id, status, updated_at, note, chain_stopped,
    (SELECT count(*) FROM artifacts WHERE artifacts.job_id = jobs.job_id) AS files
FROM jobs
WHERE job_id IN (SELECT value FROM json_each(:job_ids)) OR chain_id IN (SELECT value FROM json_each(:chain_ids))
ORDER BY job_id
"""
# Without its name the planner prefers jobs_by_status and sorts.
SELECT_OPEN_JOBS = """
SELECT * FROM jobs INDEXED BY jobs_open WHERE status IN ('submitting', 'running', 'downloading') ORDER BY seq
"""

LIST_JOBS = "SELECT * FROM jobs WHERE seq < :before"
LIST_OPEN_JOBS = """
SELECT * FROM jobs INDEXED BY jobs_open WHERE status IN ('submitting', 'running', 'downloading') AND seq < :before
"""
LIST_STATUS = " AND status = :status"
LIST_KIND = " AND kind = :kind"
LIST_PRINCIPAL = " AND principal = :principal"
# instr takes its argument literally: % and _ mean themselves.
LIST_QUERY = " AND (instr(folded_prompt, :query) OR instr(job_id, :query))"
LIST_ORDER = " ORDER BY seq DESC LIMIT :limit"

SUM_COUNTED = "SELECT coalesce(sum(counted_microusd), 0) FROM calls WHERE created_at >= :since"
# CROSS JOIN reads only the calls of the span, by calls_by_time, and looks up the job of each.
SELECT_TRAFFIC = """
SELECT calls.created_at, jobs.updated_at, json_extract(calls.error, '$.code') AS code,
    json_extract(calls.error, '$.retry_after') AS retry_after,
    CASE WHEN json_valid(jobs.effective) THEN json_extract(jobs.effective, '$.economy') END AS economy
FROM calls CROSS JOIN jobs
WHERE calls.created_at >= :since AND jobs.job_id = calls.job_id AND jobs.model = :model AND jobs.backend = :backend
    AND coalesce(jobs.profile, '') = coalesce(:profile, '')
ORDER BY calls.created_at
"""
SUM_COUNTED_OF_PROFILE = """
SELECT coalesce(sum(calls.counted_microusd), 0)
FROM calls CROSS JOIN jobs
WHERE calls.created_at >= :since AND jobs.job_id = calls.job_id AND jobs.profile = :profile
"""
# One pass over the calls of a span, by calls_by_time; CROSS JOIN keeps that order. What is known of a charge decides,
# then whether the call is open, then whether it is said to be billed: as in ledger/caps.py, whose sums it takes apart.
# What is no JSON is unknown. The quote lies deep in a wide row: it is read only for a call that counts nothing.
SPENDING = """
WITH paid AS (
    SELECT
        {key} AS name, calls.ordinal, calls.counted_microusd AS microusd,
        CASE
            WHEN jobs.backend IN ('emulator', 'local') THEN 'free'
            WHEN json_valid(calls.charge) AND json_extract(calls.charge, '$.usd') IS NOT NULL THEN 'charged'
            WHEN calls.status IN ('submitting', 'running', 'downloading') THEN 'reserved'
            WHEN json_valid(calls.charge) THEN json_extract(calls.charge, '$.billed')
            WHEN calls.charge IS NULL AND json_valid(calls.error) THEN json_extract(calls.error, '$.billed')
            ELSE 'unknown'
        END AS money,
        CASE
            WHEN calls.counted_microusd = 0 AND json_valid(jobs.quote) THEN json_extract(jobs.quote, '$.usd') IS NULL
            ELSE FALSE
        END AS unpriced
    FROM calls CROSS JOIN jobs
    WHERE jobs.job_id = calls.job_id AND calls.created_at >= :since AND calls.created_at < :until{whose}
)
SELECT
    name,
    sum(CASE WHEN ordinal = 0 AND money <> 'free' THEN 1 ELSE 0 END) AS jobs,
    sum(CASE WHEN ordinal = 0 AND money = 'free' THEN 1 ELSE 0 END) AS free_jobs,
    CAST(sum(CASE WHEN money = 'charged' THEN microusd ELSE 0 END) AS BIGINT) AS charged,
    CAST(sum(CASE WHEN money = 'yes' THEN microusd ELSE 0 END) AS BIGINT) AS billed_at_quote,
    CAST(sum(CASE WHEN money = 'reserved' THEN microusd ELSE 0 END) AS BIGINT) AS reserved,
    CAST(sum(CASE WHEN money = 'unknown' THEN microusd ELSE 0 END) AS BIGINT) AS possibly_billed,
    sum(CASE WHEN unpriced AND money IN ('yes', 'reserved', 'unknown') THEN 1 ELSE 0 END) AS unpriced_calls
FROM paid WHERE money <> 'free' OR :with_free GROUP BY name ORDER BY name IS NOT NULL, name
"""
SPENDING_KEYS = {
    "day": "substr(calls.created_at, 1, 10)",
    "month": "substr(calls.created_at, 1, 7)",
    "model": "jobs.model",
    "profile": "jobs.profile",
    "status": "jobs.status",
}
SPENDING_OF_PRINCIPAL = " AND jobs.principal = :principal"
RECENT_TIMES = """
SELECT created_at, updated_at FROM jobs
WHERE status = 'succeeded' AND backend <> 'local' AND model = :model AND resolution IS :scale
    AND CASE WHEN backend = 'emulator' THEN 1 ELSE 0 END = :is_emulated
ORDER BY seq DESC LIMIT 20
"""


def list_jobs(*, status: str | None, kind: str | None, query: str | None, principal: str | None = None) -> str:
    """Put together the statement for one page: no condition that is not needed, so that an index serves each."""
    parts = (
        LIST_OPEN_JOBS if status == "open" else LIST_JOBS,
        LIST_STATUS if status and status != "open" else "",
        LIST_KIND if kind else "",
        LIST_PRINCIPAL if principal else "",
        LIST_QUERY if query else "",
        LIST_ORDER,
    )
    return "".join(parts)


def spending(by: str, principal: str | None = None) -> str:
    """Put together the statement that sums up the money of a span by one of `SPENDING_KEYS`."""
    return SPENDING.format(key=SPENDING_KEYS[by], whose=SPENDING_OF_PRINCIPAL if principal else "")
