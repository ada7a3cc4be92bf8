"""Numbers in sentences."""


def counted(number: int, noun: str) -> str:
    """Return `1 picture` or `3 pictures`, for a noun whose plural ends in `s` alone."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
