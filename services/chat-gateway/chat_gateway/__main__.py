"""`python -m chat_gateway`, and the `chat-gateway` command."""

from chat_gateway.settings import PORT, PREFIX, Settings
from sage_chassis import serve, settings


def main() -> None:
    serve.run("chat-gateway", prefix=PREFIX, port=PORT, check=lambda: settings.load(Settings, prefix=PREFIX))


if __name__ == "__main__":
    main()
