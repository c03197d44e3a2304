"""Free local operations on pictures and videos: one module each, on real paths, through one way to run ffmpeg."""
