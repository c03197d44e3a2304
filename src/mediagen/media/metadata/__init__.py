"""Our record of a generation inside its file, and whether the file is signed and must stay as it is. Blocking."""

from mediagen.media.metadata.files import embed_record, has_c2pa, read_record

__all__ = ["embed_record", "has_c2pa", "read_record"]
