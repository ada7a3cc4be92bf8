"""What is told of a run."""

from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.summary_text import describe


def test_the_description_has_every_figure(finished):
    text = describe(RunFolder(finished))
    for part in ("3 pictures of 32 x 32", "bytes, whole file", "PSNR", "SSIM", "notes.txt", str(finished)):
        assert part in text
    assert "diverged" not in text
