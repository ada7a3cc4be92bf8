"""Tables, sweeps and figures: thin code over the records that runs leave."""

import ganrev  # noqa: F401 - sets how OpenMP waits, before torch is imported
