"""Which TCP ports of this machine are free."""

import socket


class LocalPorts:
    def is_free(self, host: str, port: int) -> bool:
        try:
            with _bound(host, port):
                return True
        except OSError:
            return False

    def any_free(self, host: str) -> int:
        with _bound(host, 0) as listener:
            return int(listener.getsockname()[1])


def _bound(host: str, port: int) -> socket.socket:
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
