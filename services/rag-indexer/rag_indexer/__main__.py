"""Start the rag-indexer: `python -m rag_indexer`."""

from rag_indexer.adapters.data_folder import DataFolderInUse, locked
from rag_indexer.settings import PORT, PREFIX, Settings
from sage_chassis import serve, settings
from sage_chassis.settings import SettingsError


def main() -> None:
    serve.run("rag-indexer", prefix=PREFIX, port=PORT, check=check)


def check() -> None:
    """The settings, and that the data folder is free: found out here it is one sentence, and no worker that dies."""
    config = settings.load(Settings, prefix=PREFIX)
    if config.store != "edge":
        return
    try:
        with locked(config.data_folder):
            pass
    except DataFolderInUse as error:
        raise SettingsError(f"{PREFIX}DATA_DIR: {error}") from error


if __name__ == "__main__":
    main()
