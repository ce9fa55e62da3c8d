"""What may be started: command lines the operator wrote, of which a request only chooses one."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sage_contracts.errors import InvalidRequest, PresetNotFound
from sage_contracts.fleet import EngineKind
from sage_contracts.management import Port, StartEngine

_PLACEHOLDER = re.compile(r"\{(host|port|model|tensor_parallel_size|pipeline_parallel_size)\}")
VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
Kind = Literal["process", "docker"]
_PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size")


class Preset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One engine that may be started.

    `command` is run without a shell; `{host}`, `{port}`, `{model}`, `{tensor_parallel_size}` and
    `{pipeline_parallel_size}` are replaced in it and in `env`. `ports` is the first and the last port it may get;
    without it any free one. It has `ready_seconds` to answer for the first time.

    Of kind `docker` it is a container of `image`, `command` its arguments and `volumes` what it sees of the machine.
    With `gpus` it gets so many of those with the most free memory, each with at least `gpu_memory_gb` of it.
    """

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    command: tuple[str, ...] = ()
    model: Annotated[str, Meta(min_length=1, max_length=256)]
    kind: Kind = "process"
    image: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    volumes: tuple[str, ...] = ()
    gpus: Annotated[int, Meta(ge=0, le=64)] = 0
    gpu_memory_gb: Annotated[float, Meta(ge=0)] = 0.0
    engine_kind: EngineKind = "llm"
    ports: tuple[Port, Port] | None = None
    env: dict[str, str] = {}
    ready_seconds: Annotated[float, Meta(gt=0)] = 120.0
    max_concurrent_requests: Annotated[int, Meta(ge=1)] = 256
    allow_extra_args: bool = False


class PresetFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of `presets.yaml`."""

    presets: list[Preset]


SMOLLM2 = Preset(
    name="smollm2",
    command=(sys.executable, "-m", "sage_cli.demo_engine", "--port", "{port}"),
    model="smollm2-135m-instruct",
    ready_seconds=60.0,
    max_concurrent_requests=16,
)
"""The demo engine of the local stack."""


@dataclass(frozen=True, slots=True)
class Line:
    """A command ready to be run, and what it is run in."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    port: int = 0
    image: str | None = None
    volumes: tuple[str, ...] = ()
    gpu_ids: tuple[int, ...] = ()


class Presets:
    def __init__(self, presets: Sequence[Preset]) -> None:
        self._by_name = {preset.name: preset for preset in (SMOLLM2, *presets)}

    def named(self, name: str) -> Preset | None:
        return self._by_name.get(name)

    def kinds(self) -> set[Kind]:
        return {preset.kind for preset in self._by_name.values()}

    def chosen(self, request: StartEngine) -> Preset:
        """
        The preset that `preset` names, else the one whose name or model is `model_id`.

        Raises PresetNotFound, and InvalidRequest for what the preset does not allow.
        """
        preset = self._found(request)
        if request.preset and request.model_id not in {None, preset.model, preset.name}:
            raise InvalidRequest(f"preset {preset.name!r} serves {preset.model!r}", param="model_id")
        if request.engine_kind not in {None, preset.engine_kind}:
            raise InvalidRequest(f"preset {preset.name!r} is of kind {preset.engine_kind!r}", param="engine_kind")
        if request.extra_args and not preset.allow_extra_args:
            raise InvalidRequest(f"preset {preset.name!r} allows no extra_args", param="extra_args")
        for option in _PARALLEL:
            if (getattr(request, option) or 1) > 1 and not _mentions(preset, option):
                raise InvalidRequest(f"preset {preset.name!r} has no place for {option}", param=option)
        return preset

    def _found(self, request: StartEngine) -> Preset:
        if request.preset:
            found, param = self._by_name.get(request.preset), "preset"
        else:
            wanted = request.model_id or ""
            by_model = (preset for preset in self._by_name.values() if preset.model == wanted)
            found, param = self._by_name.get(wanted) or next(by_model, None), "model_id"
        if found is None:
            known = ", ".join(f"{preset.name} ({preset.model})" for preset in self._by_name.values())
            raise PresetNotFound(f"no such preset; those there are: {known}", param=param)
        return found


def line(
    preset: Preset,
    *,
    host: str,
    port: int,
    tensor_parallel_size: int = 1,
    pipeline_parallel_size: int = 1,
    extra_args: Sequence[str] = (),
    gpu_ids: Sequence[int] = (),
) -> Line:
    """In a container `{host}` is every address: its port is published at the host's own."""
    values = {
        "host": "0.0.0.0" if preset.kind == "docker" else host,  # noqa: S104
        "port": str(port),
        "model": preset.model,
        "tensor_parallel_size": str(tensor_parallel_size),
        "pipeline_parallel_size": str(pipeline_parallel_size),
    }

    def filled(text: str) -> str:
        return _PLACEHOLDER.sub(lambda match: values[match[1]], text)

    command = (*(filled(part) for part in preset.command), *extra_args)
    visible = {VISIBLE_GPUS: ",".join(map(str, gpu_ids))} if gpu_ids and preset.kind == "process" else {}
    return Line(
        command,
        visible | {name: filled(value) for name, value in preset.env.items()},
        port=port,
        image=preset.image,
        volumes=preset.volumes,
        gpu_ids=tuple(gpu_ids),
    )


def complaints(presets: Sequence[Preset]) -> list[str]:
    """What the types alone cannot say about a file of presets."""
    told: list[str] = []
    seen: set[str] = set()
    for preset in presets:
        if preset.name in seen:
            told.append(f"preset {preset.name!r} stands there twice")
        seen.add(preset.name)
        if preset.ports is not None and preset.ports[0] > preset.ports[1]:
            told.append(f"preset {preset.name!r}: its ports end before they begin")
        if preset.kind == "process" and (not preset.command or preset.image or preset.volumes):
            told.append(f"preset {preset.name!r}: a process has a command, and neither image nor volumes")
        if preset.kind == "docker" and not preset.image:
            told.append(f"preset {preset.name!r}: kind docker needs an image")
        one_port = preset.ports is not None and preset.ports[0] == preset.ports[1]
        if not one_port and not _mentions(preset, "port"):
            told.append(f"preset {preset.name!r}: neither command nor env has {{port}}")
    return told


def _mentions(preset: Preset, placeholder: str) -> bool:
    return any(f"{{{placeholder}}}" in text for text in (*preset.command, *preset.env.values()))
