"""`ganrev run` hands over to the harness."""

import sys

from ganrev.cli import main


def test_run_hands_over_to_the_harness(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["ganrev"])
    monkeypatch.setattr("ganrev.app.main", lambda: seen.append(list(sys.argv)))
    main(["run", "codec=jpeg", "--multirun"])
    assert seen == [["ganrev run", "codec=jpeg", "--multirun"]]
