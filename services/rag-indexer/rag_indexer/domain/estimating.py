"""What a build would do, as it is told before it is done."""

from rag_indexer.domain.building import Survey
from rag_indexer.domain.ports import Record
from sage_contracts import index as wire

MAX_LISTED = 1_000
BYTES_A_CHUNK = 1_000
"""Where there is no index yet to tell: about 250 tokens."""


def told(survey: Survey, record: Record | None) -> wire.Plan:
    """`record` is that of the served index, whether or not it can be built on."""
    plan, files = survey.plan, survey.found.files
    size = sum(files[path].size for path in plan.read)
    density = record.num_chunks / record.num_bytes if record and record.num_bytes else 1 / BYTES_A_CHUNK
    speed = record.bytes_per_second if record else None
    return wire.Plan(
        add=plan.added[:MAX_LISTED],
        change=plan.changed[:MAX_LISTED],
        move=[wire.Move(before=before, now=now) for before, now in plan.moved[:MAX_LISTED]],
        delete=plan.removed[:MAX_LISTED],
        unchanged=len(plan.kept),
        skipped=survey.skipped,
        files=len(plan.read),
        bytes=size,
        chunks=max(round(size * density), len(plan.read)),
        seconds=round(size / speed, 1) if speed else None,
    )


def summary(plan: wire.Plan) -> str:
    return (
        f"{plan.files} files to read, about {plan.chunks} passages; {len(plan.move)} moved, {len(plan.delete)} removed,"
        f" {plan.unchanged} unchanged"
    )
