"""NVIDIA's GPUs, as `nvidia-smi` tells of them."""

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, PIPE

from sage_contracts.management import GPU

QUERY = "index,name,memory.used,memory.total,memory.free,utilization.gpu"
READ_SECONDS = 3.0
MIB_A_GB = 1024


class NvidiaGPUs:
    """`program` is looked for on the PATH at every call: a driver may come later."""

    def __init__(self, program: str = "nvidia-smi", *, seconds: float = READ_SECONDS) -> None:
        self._program = program
        self._seconds = seconds

    async def read(self) -> tuple[list[GPU], str | None]:
        found = shutil.which(self._program)
        if found is None:
            return [], "no NVIDIA GPU on this machine: nvidia-smi was not found"
        try:
            code, text = await _printed(found, self._seconds)
        except (OSError, TimeoutError) as error:
            return [], f"{self._program} could not be asked: {type(error).__name__}"
        if code != 0:
            return [], f"{self._program} failed with status {code}"
        gpus = parsed(text)
        return gpus, None if gpus else f"{self._program} lists no GPU"


async def _printed(program: str, seconds: float) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        program, f"--query-gpu={QUERY}", "--format=csv,noheader,nounits", stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
    )
    try:
        async with asyncio.timeout(seconds):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode, out.decode("utf-8", "replace")


def parsed(text: str) -> list[GPU]:
    """One line a GPU, memory in MiB; a line that is no GPU's, or a figure that is not told, is left out or zero."""
    found: list[GPU] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != 6 or not cells[0].isdigit():
            continue
        used, total, free = (round(_number(cell) / MIB_A_GB, 2) for cell in cells[2:5])
        found.append(
            GPU(
                index=int(cells[0]),
                name=cells[1],
                memory_used_gb=used,
                memory_total_gb=total,
                memory_free_gb=free,
                utilization=_number(cells[5]),
                engines=[],
            )
        )
    return found


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return 0.0
