"""In PYTHONPATH, forbids every process sockets, and leaves the slow measures out as tests/quick does."""

import sys

for name in ("stlpips_pytorch", "ssimulacra2"):
    sys.modules[name] = None  # as if its extra were not installed


def _forbid(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise RuntimeError(f"{event} {arguments[1:]}: this process may not use a network")


sys.addaudithook(_forbid)
