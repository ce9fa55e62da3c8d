"""`python -m session_store`."""

from sage_chassis import serve
from session_store.settings import PORT, PREFIX, read


def main() -> None:
    serve.run("session-store", prefix=PREFIX, port=PORT, check=read)


if __name__ == "__main__":
    main()
