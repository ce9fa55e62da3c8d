"""The repository as the architecture tests see it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICE_FOLDERS = sorted(
    path for path in (ROOT / "services").iterdir() if path.is_dir() and not path.name.startswith((".", "_"))
)
SERVICES = frozenset(path.name.replace("-", "_") for path in SERVICE_FOLDERS)
SHARED = frozenset({"sage_contracts", "sage_chassis", "sage_cli", "sage_client"})
MODULES = sorted(
    path
    for folder in ("proto-free-contracts", "services")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)


def package_of(path: Path) -> str:
    """The top-level package a module belongs to."""
    return next(part for part in path.relative_to(ROOT).parts if part in SERVICES | SHARED)


def inside(path: Path) -> tuple[str, ...]:
    """The module's path within its package: `("routes", "chat.py")`."""
    parts = path.relative_to(ROOT).parts
    return parts[parts.index(package_of(path)) + 1 :]
