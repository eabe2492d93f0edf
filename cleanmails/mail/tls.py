"""The trust that connections to mail servers rest on."""

import functools
import ssl


@functools.lru_cache(maxsize=16)
def context(ca_file: str | None) -> ssl.SSLContext:
    """Certificates are always verified; `ca_file` (PEM) is trusted beside the system's authorities, whose loading costs about 20 ms, and so once."""
    made = ssl.create_default_context()
    if ca_file is not None:
        made.load_verify_locations(ca_file)
    return made
