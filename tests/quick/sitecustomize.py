"""In PYTHONPATH, leaves ST-LPIPS and SSIMULACRA2 out of every process: they take seconds per run."""

import sys

for name in ("stlpips_pytorch", "ssimulacra2"):
    sys.modules[name] = None  # as if its extra were not installed
