"""What a model is told about the server before it calls anything; under 2,000 characters."""

from collections.abc import Collection

_INSTRUCTIONS = """\
mediagen makes pictures and films on Google's media models. It keeps a ledger: a paid job is not lost or paid twice.

Tools that cost money (real dollars; say the price first above a few cents):
- generate_image: make or edit pictures (about $0.03 to $0.25 each, 15-60 s).
- generate_video: make a 3-15 s clip with sound from text, pictures or frames of a video, or change a video
  (about $0.02 to $0.60 per second, 1-5 min).
- extend_video: continue a clip; source = its job_id, artifact URI, path or address.
  times=N extends N times, one job each: follow `next`.
Tools that are free: estimate_cost (price), check_api (what works, which models), get_spend, get_job, list_jobs,
cancel_job{edits}. dry_run=true on a paid tool shows values, price and request and sends nothing.

How jobs are followed: a paid tool waits about 45 s (wait_seconds) at first. If it is not done, it returns
status running with a job_id: call get_job with that job_id and wait_seconds=45 until the status is final. NEVER call
the paid tool again for the same wish: the job goes on even if you stop waiting or the server restarts.
Final states: succeeded, failed, filtered (safety filter: change the prompt), cancelled, expired, unconfirmed (may be
billed; ask the user, then resolve_job).

Answers carry {where}, real size, quote and charge in dollars, warnings, and every
value that was changed (adjustments). Show the user {shown}. Full files are never put into the conversation.
Chain by path or URI: artifacts[].uri can be the image, video, source or input_images of the next call.
Above the approval threshold a call is refused until max_usd is given: ask the user first.
Backends: gemini (API key), vertex (also Veo; storage_uri), cliproxy (pictures only); auto takes the first configured
one that has the model. emulator is a free stand-in without a key: its pictures are test patterns.
"""
_EDITS = """,
probe_media, extract_frame, trim_video, concat_videos, add_audio, convert_video, resize_image"""


_HERE = ("absolute file paths (artifacts[].path)", "the path")
_ELSEWHERE = ("links that hold for an hour (artifacts[].url)", "the link")
_FILES = """\
This server runs on another machine: no paths. Inputs are https, gs://, data: or mediagen:// addresses; POST /files
takes a file (20 MB) and answers a mediagen:// address.
"""


def instructions(toolsets: Collection[str], *, is_shared: bool = False) -> str:
    """What to tell about the tools that are on, and about files where callers are on other machines."""
    where, shown = _ELSEWHERE if is_shared else _HERE
    text = _INSTRUCTIONS.format(edits=_EDITS if "edit" in toolsets else "", where=where, shown=shown)
    return text + (_FILES if is_shared else "")
