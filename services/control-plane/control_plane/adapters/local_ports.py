"""Which TCP ports of this machine are free."""

from collections.abc import Collection

from sage_chassis import ports
from sage_contracts.errors import Conflict


class LocalPorts:
    def is_free(self, host: str, port: int) -> bool:
        try:
            ports.listening(host, port).close()
        except OSError:
            return False
        return True

    def any_free(self, host: str, *, but: Collection[int]) -> int:
        for port in ports.candidates():
            if port not in but and self.is_free(host, port):
                return port
        raise Conflict(f"no free port was found at {host}: ask for one", param="port")
