"""Reading pictures and videos: what they are, how large, and a small preview; sole user of Pillow and of ffmpeg."""
