-- A file is found again by its content, wherever it was moved and however it is called now.
CREATE INDEX artifacts_by_content ON artifacts (sha256);
