from pathlib import Path

import pytest

from control_plane.adapters.gpus import NvidiaGPUs, parsed

TWO = "0, NVIDIA H200, 1024, 143771, 142747, 37\n1, NVIDIA H200, 0, 143771, 143771, [N/A]\n"


def program(folder: Path, script: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_each_line_is_a_gpu() -> None:
    first, second = parsed(TWO)

    assert (first.index, first.name, first.memory_used_gb, first.utilization) == (0, "NVIDIA H200", 1.0, 37.0)
    assert (first.memory_total_gb, first.memory_free_gb) == (140.4, 139.4)
    assert (second.index, second.utilization) == (1, 0.0)


@pytest.mark.parametrize("text", ["", "\n", "No devices were found", "a, b, c, d, e, f", "0, x"])
def test_a_line_that_is_no_gpu_is_left_out(text: str) -> None:
    assert parsed(text) == []


async def test_a_machine_without_the_driver_says_so() -> None:
    assert await NvidiaGPUs("sage-no-such-program").read() == (
        [],
        "no NVIDIA GPU on this machine: nvidia-smi was not found",
    )


async def test_what_the_program_prints_is_read(tmp_path: Path) -> None:
    gpus, message = await NvidiaGPUs(program(tmp_path, f"printf '{TWO}'")).read()

    assert ([gpu.index for gpu in gpus], message) == ([0, 1], None)


@pytest.mark.parametrize(("script", "word"), [("exit 9", "status 9"), ("echo none", "lists no GPU")])
async def test_a_driver_that_fails_is_told_not_raised(tmp_path: Path, script: str, word: str) -> None:
    gpus, message = await NvidiaGPUs(program(tmp_path, script)).read()

    assert gpus == []
    assert message is not None
    assert word in message


async def test_a_driver_that_hangs_is_given_up(tmp_path: Path) -> None:
    gpus, message = await NvidiaGPUs(program(tmp_path, "exec sleep 60"), seconds=0.2).read()

    assert gpus == []
    assert message is not None
    assert "TimeoutError" in message
