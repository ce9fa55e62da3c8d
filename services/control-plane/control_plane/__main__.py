"""Start the control-plane: `python -m control_plane`."""

from control_plane import settings
from sage_chassis import serve


def main() -> None:
    serve.run("control-plane", prefix=settings.PREFIX, port=settings.PORT, check=settings.load)


if __name__ == "__main__":
    main()
