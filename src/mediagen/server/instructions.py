"""What a model is told about the server before it calls anything; under 2,000 characters."""

INSTRUCTIONS = """\
mediagen makes pictures and films on Google's media models. It keeps a ledger: a paid job is not lost or paid twice.

Tools that cost money (real dollars; say the price first when it is more than a few cents):
- generate_image: make or edit pictures (about $0.03 to $0.25 each, 15-60 s).
- generate_video: make a 3-15 s clip with sound from text, a first frame, first and last frame, or references
  (about $0.02 to $0.60 per second, 1-5 min).
- extend_video: continue a clip; source = the job_id of the clip, its artifact URI or an .mp4 path.
  times=N extends N times, one job each: follow `next`.
Tools that are free: estimate_cost (price first), check_api (is everything set up, which models), get_job, list_jobs,
cancel_job. dry_run=true on a paid tool shows effective values, price and request and sends nothing.

How jobs are followed: a paid tool waits about 45 s (wait_seconds) and reports progress. If it is not done, it returns
status running with a job_id: call get_job with that job_id and wait_seconds=45 until the status is final. NEVER call
the paid tool again for the same wish: the job goes on even if you stop waiting or the server restarts.
Final states: succeeded, failed, filtered (safety filter: change the prompt), cancelled, expired, unconfirmed (may be
billed; ask the user before trying again).

Answers carry absolute file paths (artifacts[].path), real pixel size, quote and charge in dollars, warnings, and every
value that was changed (adjustments). Show the user the path. Full files are never put into the conversation.
Chain by path or URI: artifacts[].uri of a picture can be image of generate_video or input_images of generate_image.
Above the approval threshold a call is refused until max_usd is given: ask the user first.
Backends: gemini (API key), vertex (also Veo; storage_uri), cliproxy (pictures only); auto takes the first configured
one that has the model. emulator is a free stand-in without a key: its pictures are test patterns.
"""
