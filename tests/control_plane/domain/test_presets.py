import pytest

from control_plane.domain.presets import SMOLLM2, Preset, Presets, complaints, line
from sage_contracts.errors import InvalidRequest, PresetNotFound
from sage_contracts.management import StartEngine

QWEN = Preset(
    name="qwen",
    command=("vllm", "serve", "{model}", "--port", "{port}", "--tp", "{tensor_parallel_size}", '{"json": {port}}'),
    model="Qwen/Qwen2.5-7B",
    env={"HOST": "{host}"},
    allow_extra_args=True,
)
TEI = Preset(name="tei", command=("tei",), model="bge", engine_kind="embedding", ports=(9000, 9000))
PRESETS = Presets([QWEN, TEI])


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (StartEngine(preset="qwen"), "qwen"),
        (StartEngine(model_id="Qwen/Qwen2.5-7B"), "qwen"),
        (StartEngine(model_id="qwen"), "qwen"),
        (StartEngine(preset="qwen", model_id="qwen"), "qwen"),
        (StartEngine(preset="qwen", model_id="Qwen/Qwen2.5-7B", engine_kind="llm"), "qwen"),
        (StartEngine(preset="qwen", tensor_parallel_size=2, extra_args=["--x"]), "qwen"),
        (StartEngine(model_id="bge", engine_kind="embedding", tensor_parallel_size=1, extra_args=[]), "tei"),
        (StartEngine(model_id="smollm2"), "smollm2"),
    ],
)
def test_a_request_chooses_a_preset_by_name_or_model(request_: StartEngine, name: str) -> None:
    assert PRESETS.chosen(request_).name == name


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (StartEngine(), "model_id"),
        (StartEngine(model_id="nope"), "model_id"),
        (StartEngine(preset="nope", model_id="bge"), "preset"),
        (StartEngine(model_id="; rm -rf /"), "model_id"),
    ],
)
def test_an_unknown_preset_is_told_with_those_there_are(request_: StartEngine, param: str) -> None:
    with pytest.raises(PresetNotFound) as caught:
        PRESETS.chosen(request_)

    assert caught.value.param == param
    assert "smollm2 (smollm2-135m-instruct), qwen (Qwen/Qwen2.5-7B), tei (bge)" in caught.value.message


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (StartEngine(preset="tei", model_id="other"), "model_id"),
        (StartEngine(preset="tei", engine_kind="llm"), "engine_kind"),
        (StartEngine(preset="tei", extra_args=["--trust-remote-code"]), "extra_args"),
        (StartEngine(preset="tei", tensor_parallel_size=2), "tensor_parallel_size"),
        (StartEngine(preset="qwen", pipeline_parallel_size=2), "pipeline_parallel_size"),
    ],
)
def test_what_a_preset_does_not_allow_is_refused(request_: StartEngine, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        PRESETS.chosen(request_)

    assert caught.value.param == param


def test_placeholders_are_filled_and_other_braces_left_alone() -> None:
    filled = line(QWEN, host="10.0.0.1", port=8100, tensor_parallel_size=4, extra_args=("{port}",))

    model = "Qwen/Qwen2.5-7B"
    assert filled.command == ("vllm", "serve", model, "--port", "8100", "--tp", "4", '{"json": 8100}', "{port}")
    assert filled.env == {"HOST": "10.0.0.1"}


def test_the_demo_engine_is_built_in() -> None:
    assert line(SMOLLM2, host="127.0.0.1", port=1).command[1:] == ("-m", "sage_cli.demo_engine", "--port", "1")


def test_a_preset_of_the_operator_stands_before_one_built_in() -> None:
    own = Preset(name="smollm2", command=("x", "{port}"), model="other")

    assert Presets([own]).chosen(StartEngine(preset="smollm2")) == own


@pytest.mark.parametrize(
    ("presets", "word"),
    [
        ([QWEN, QWEN], "twice"),
        ([Preset(name="a", command=("x",), model="m")], "{port}"),
        ([Preset(name="a", command=("x",), model="m", ports=(9, 10))], "{port}"),
        ([Preset(name="a", command=("x", "{port}"), model="m", ports=(10, 9))], "end before"),
    ],
)
def test_a_file_that_cannot_work_is_complained_about(presets: list[Preset], word: str) -> None:
    assert word in " ".join(complaints(presets))


def test_a_good_file_has_no_complaints() -> None:
    assert complaints([QWEN, TEI]) == []
