"""What the status tells of a build under way."""

from rag_indexer.domain.progress import Progress


def test_a_build_that_scans_cannot_tell_when_it_is_done() -> None:
    progress = Progress()
    progress.scanned(3, 10)
    job = progress.job(now=5.0)

    assert (job.stage, job.done, job.total, job.eta_seconds) == ("scanning", 3, 10, None)


def test_the_time_left_goes_by_bytes() -> None:
    progress = Progress()
    progress.planned(kept=5, chunks=9, total=7, bytes_to_read=1_000, now=100.0)
    progress.indexed(250, 3)
    job = progress.job(now=102.0)

    assert (job.stage, job.done, job.total, job.chunks, job.eta_seconds) == ("indexing", 6, 7, 12, 6.0)
    assert progress.speed(now=102.0) == 125.0


def test_nothing_is_left_when_it_publishes() -> None:
    progress = Progress()
    progress.planned(kept=7, chunks=0, total=7, bytes_to_read=0, now=0.0)
    before = progress.job(now=1.0)
    progress.publishing()
    job = progress.job(now=1.0)

    assert progress.speed(now=1.0) is None
    assert (before.stage, before.eta_seconds) == ("chunking", None)
    assert (job.stage, job.done, job.eta_seconds) == ("publishing", 7, 0.0)


def test_a_file_that_grew_does_not_make_the_time_left_negative() -> None:
    progress = Progress()
    progress.planned(kept=0, chunks=0, total=2, bytes_to_read=10, now=0.0)
    progress.indexed(20, 1)

    assert progress.job(now=1.0).eta_seconds == 0.0
