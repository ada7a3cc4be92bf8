"""What an option may be: YAML and the command line give values of any type."""

import math
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether an option is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: object) -> TypeGuard[int | float]:
    """Tell whether an option is a whole number; 1e3, which YAML reads as 1000.0, is one."""
    return is_number(value) and int(value) == value
