"""Other people's codecs behind the same protocol."""

import ganrev  # noqa: F401 - sets how OpenMP waits, before torch is imported
