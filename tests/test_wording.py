"""Numbers in sentences."""

import pytest

from ganrev.wording import counted


@pytest.mark.parametrize(("number", "words"), [(0, "0 points"), (1, "1 point"), (2, "2 points")])
def test_one_is_no_plural(number, words):
    assert counted(number, "point") == words
