"""In PYTHONPATH, leaves ST-LPIPS out of every process: its network takes seconds to load."""

import sys

sys.modules["stlpips_pytorch"] = None  # as if its extra were not installed
