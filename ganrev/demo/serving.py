"""The page's server: on this machine alone, until it is stopped."""

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec

HOST = "127.0.0.1"
INSTALL = "pip install 'ganrev[demo]'"


def serve(port: int, overrides: Sequence[str], tell: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C; threads may then still be at work.

    Args:
        port: 0 for any that is free.
        overrides: options of the codec, in Hydra's grammar.
        tell: is given the page's address once it answers.

    Raises:
        ValueError: the extra is not installed, the port is taken, or an option cannot be used.
    """
    if find_spec("uvicorn") is None or find_spec("starlette") is None:
        raise ValueError(f"the page needs its extra: {INSTALL}")
    import uvicorn

    from ganrev.demo.app import make_app

    app = make_app(overrides)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError as error:
            raise ValueError(f"port {port} cannot be had ({error.strerror}): give another one by --port") from error
        listening.listen()  # from now on a browser waits until the server answers
        tell(f"http://{HOST}:{listening.getsockname()[1]}/")
        # A page that stays open must not keep the server from ending. What fails is logged where it is answered.
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
        app.state.is_ending = lambda: server.should_exit
        with suppress(KeyboardInterrupt):  # that is how it ends
            server.run(sockets=[listening])
