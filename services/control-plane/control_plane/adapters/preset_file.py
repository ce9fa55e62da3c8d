"""The operator's `presets.yaml`."""

from pathlib import Path

import msgspec
import msgspec.yaml
import yaml

from control_plane.domain.presets import Preset, PresetFile, complaints
from sage_chassis.settings import SettingsError


def read(path: str) -> list[Preset]:
    """No path, no presets. Raises SettingsError that names the file and what is wrong in it."""
    if not path:
        return []
    try:
        presets = msgspec.yaml.decode(Path(path).expanduser().read_bytes(), type=PresetFile).presets
    except (OSError, UnicodeError, yaml.YAMLError, msgspec.MsgspecError) as error:
        raise SettingsError(f"presets {path}: {error}") from error
    if told := complaints(presets):
        raise SettingsError(f"presets {path}: {'; '.join(told)}")
    return presets
