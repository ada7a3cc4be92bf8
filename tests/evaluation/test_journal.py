"""What a batch left is there again after a kill."""

import numpy as np

from ganrev.evaluation.journal import Journal


def test_a_journal_gives_back_what_it_was_given(tmp_path):
    journal = Journal(tmp_path, "encode")
    assert journal.find(["a", "b"]) is None
    result = {"seconds": {"a": 0.1 + 0.2}, "failed": {"b": "why?"}, "psnr": float("inf"), "celeba_id": None}
    arrays = {"losses": np.arange(6, dtype=np.float32).reshape(2, 3)}
    journal.keep(["a", "b"], result, arrays)
    found, kept = Journal(tmp_path, "encode").find(["a", "b"])
    assert found == result
    assert kept.keys() == arrays.keys()
    assert np.array_equal(kept["losses"], arrays["losses"])
    for others in (["b", "a"], ["a"], ["ab"], ["a", "b", "c"]):
        assert journal.find(others) is None
    assert Journal(tmp_path, "score").find(["a", "b"]) is None
