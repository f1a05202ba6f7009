"""Files that appear as a whole or not at all."""

import os
import tempfile
from pathlib import Path


def write_atomically(path, data):
    """Write `data` (bytes) to the file `path`; if this fails, an existing file keeps its content.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
