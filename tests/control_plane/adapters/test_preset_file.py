from pathlib import Path

import pytest

from control_plane import settings
from control_plane.adapters import preset_file
from control_plane.settings import Settings
from sage_chassis.settings import SettingsError

EXAMPLE = Path(__file__).parents[3] / "services" / "control-plane" / "presets.example.yaml"


def test_no_file_is_no_presets() -> None:
    assert preset_file.read("") == []


def test_the_example_can_be_read() -> None:
    names = [preset.name for preset in preset_file.read(str(EXAMPLE))]

    assert names == ["qwen3-4b", "qwen3-4b-gguf", "qwen3-4b-docker", "bge-m3", "smollm2"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("presets: [", "expected"),
        ("- a", "object"),
        ("", "object"),
        ("presets: []\nmore: 1", "more"),
        ("presets: [{name: a}]", "model"),
        ("presets: [{name: a b, command: [x], model: m}]", "name"),
        ("presets: [{name: a, command: [], model: m}]", "command"),
        ("presets: [{name: a, command: x, model: m}]", "command"),
        ("presets: [{name: a, command: [x], model: m, kind: podman}]", "kind"),
        ("presets: [{name: a, command: ['{port}'], model: m, kind: docker}]", "needs an image"),
        ("presets: [{name: a, command: ['{port}'], model: m, image: vllm}]", "neither image"),
        ("presets: [{name: a, command: ['{port}'], model: m, gpus: -1}]", "gpus"),
        ("presets: [{name: a, command: [x], model: m, colour: blue}]", "colour"),
        ("presets: [{name: a, command: [x], model: m, ports: [0, 5]}]", "ports"),
        ("presets: [{name: a, command: [x], model: m}]", "{port}"),
        ("presets: [{name: a, command: ['{port}'], model: m}, {name: a, command: ['{port}'], model: m}]", "twice"),
        ("presets: !!python/object/apply:os.system [x]", "python"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_name(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "presets.yaml"
    path.write_text(text)

    with pytest.raises(SettingsError) as caught:
        preset_file.read(str(path))
    assert str(path) in str(caught.value)
    assert word in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        preset_file.read(str(tmp_path / "nope.yaml"))


@pytest.mark.parametrize(
    ("config", "variable"),
    [
        (Settings(allowed_networks=("nonsense",)), "SAGE_CONTROL_PLANE_ALLOWED_NETWORKS"),
        (Settings(static_engines=("gpu:80",)), "SAGE_CONTROL_PLANE_STATIC_ENGINES"),
        (Settings(presets="/nope.yaml"), "SAGE_CONTROL_PLANE_PRESETS"),
    ],
)
def test_a_wrong_setting_names_its_variable(config: Settings, variable: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        settings.checked(config)
