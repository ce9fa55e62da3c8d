"""Taking one file out of an index where no build can: its folder or the encoder is away."""

from datetime import datetime

import msgspec

from rag_indexer.domain import manifest
from rag_indexer.domain.ports import Passages


async def taken_out(passages: Passages, path: str, now: datetime) -> bool:
    """No search finds it when this returns; whether it was there. Raises StoreUnavailable."""
    record = await passages.record()
    if record is None or path not in await passages.manifest():
        return False
    draft = await passages.amendment()  # a build that broke off may have left half an index in its draft
    try:
        await draft.remove([path])
        told = msgspec.structs.replace(
            record,
            num_documents=manifest.documents(draft.files),
            num_chunks=manifest.chunks(draft.files),
            num_bytes=sum(state.size for state in draft.files.values()),
            skipped=[line for line in record.skipped if not line.startswith(f"{path}: ")],
            updated_at=now,
        )
        await draft.publish(told)
    except BaseException:
        await draft.discard()
        raise
    return True
