"""Drives every call of PyPI's toxiproxy-python against a server: `python3 toxiproxy_python.py HOST PORT`."""

import inspect
import json
import socket
import socketserver
import sys
import threading
import time
from contextlib import closing

from toxiproxy import Proxy, Toxiproxy
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

# Which methods have been called, so that a call that the client gets some day does not go untried.
METHODS = []
CALLED = set()


def record(owner):
    """Has every public method of a class note that it was called."""
    for name, _ in inspect.getmembers(owner, callable):
        if name.startswith("_"):
            continue
        METHODS.append(f"{owner.__name__}.{name}")
        real = inspect.getattr_static(owner, name)
        is_class = isinstance(real, classmethod)
        function = real.__func__ if is_class else real

        def noted(*given, _function=function, _name=METHODS[-1], **named):
            CALLED.add(_name)
            return _function(*given, **named)

        setattr(owner, name, classmethod(noted) if is_class else noted)


for owner in (Toxiproxy, Proxy, APIConsumer):
    record(owner)


class Echo(socketserver.StreamRequestHandler):
    """Sends lines back."""

    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


def echo(listen):
    """Sends a line through a proxy; gives back what comes back, and how long that took in seconds."""
    host, port = listen.split(":")
    begin = time.monotonic()
    with closing(socket.create_connection((host, int(port)))) as connection:
        connection.sendall(b"hello\n")
        return connection.makefile("rb").readline(), time.monotonic() - begin


def refused(error, call):
    """Asserts that a call raises an error."""
    try:
        call()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


def main(host, port):
    """Everything."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    upstream = f"127.0.0.1:{server.server_address[1]}"

    client = Toxiproxy()
    client.update_api_consumer(host, port)
    assert client.running() is True
    assert json.loads(client.version())["version"].startswith("2.")
    assert client.proxies() == {}
    assert client.get_proxy("echo") is None

    # Create, read, and what is refused.
    proxy = client.create(name="echo", upstream=upstream)
    assert proxy.enabled and proxy.upstream == upstream and not proxy.listen.endswith(":0")
    assert echo(proxy.listen)[0] == b"hello\n"
    assert list(client.proxies()) == ["echo"]
    assert client.get_proxy("echo").listen == proxy.listen
    refused(ProxyExists, lambda: client.create(name="echo", upstream=upstream))
    refused(ProxyExists, lambda: APIConsumer.post("/proxies", json={"name": "echo", "upstream": upstream}))
    refused(NotFound, lambda: APIConsumer.get("/proxies/none"))
    refused(InvalidToxic, lambda: proxy.add_toxic(type="none"))

    # Off and on again, on the same port.
    proxy.disable()
    refused(ConnectionRefusedError, lambda: echo(proxy.listen))
    assert client.get_proxy("echo").enabled is False
    proxy.enable()
    assert echo(proxy.listen)[0] == b"hello\n"
    with proxy.down():
        refused(ConnectionRefusedError, lambda: echo(proxy.listen))
    assert echo(proxy.listen)[0] == b"hello\n"

    # Toxics of every type.
    types = {
        "bandwidth": {"rate": 1000},
        "latency": {"latency": 120, "jitter": 0},
        "limit_data": {"bytes": 1000000},
        "reset_peer": {"timeout": 3600000},
        "slicer": {"average_size": 3, "size_variation": 1, "delay": 10},
        "slow_close": {"delay": 1},
        "timeout": {"timeout": 0},
    }
    for kind, attributes in types.items():
        proxy.add_toxic(type=kind, name=f"a-{kind}", stream="upstream", toxicity=0.5, attributes=attributes)
        toxic = proxy.get_toxic(f"a-{kind}")
        assert (toxic.type, toxic.stream, toxic.toxicity) == (kind, "upstream", 0.5)
        assert toxic.attributes == attributes
    assert set(proxy.toxics()) == {f"a-{kind}" for kind in types}
    for kind in types:
        assert proxy.destroy_toxic(f"a-{kind}") is True
    assert proxy.toxics() == {} and proxy.get_toxic("a-latency") is None
    refused(NotFound, lambda: proxy.destroy_toxic("a-latency"))

    # A toxic takes hold, and reset takes it away.
    proxy.add_toxic(type="latency", attributes={"latency": 120})
    toxic = proxy.get_toxic("latency_downstream")
    assert (toxic.stream, toxic.toxicity, toxic.attributes) == ("downstream", 1, {"latency": 120, "jitter": 0})
    refused(ProxyExists, lambda: proxy.add_toxic(type="latency"))
    assert echo(proxy.listen)[1] >= 0.12
    proxy.disable()
    assert client.reset() is True
    assert proxy.toxics() == {} and client.get_proxy("echo").enabled
    assert echo(proxy.listen)[0] == b"hello\n"

    # Populate (this client does it call by call) replaces what leads elsewhere.
    listen = proxy.listen
    wanted = [
        {"name": "echo", "upstream": upstream, "listen": listen},
        {"name": "other", "upstream": upstream, "listen": "127.0.0.1:0", "enabled": False},
    ]
    assert [created.name for created in client.populate(wanted)] == ["other"]
    assert client.get_proxy("other").enabled is False
    wanted[0]["upstream"] = "127.0.0.1:1"
    assert "echo" in [created.name for created in client.populate(wanted[:1])]
    assert client.get_proxy("echo").listen == listen

    assert client.destroy(client.get_proxy("other")) is True
    assert client.destroy("other") is False
    refused(NotFound, lambda: APIConsumer.delete("/proxies/other"))
    client.destroy_all()
    assert client.proxies() == {}
    server.shutdown()
    untried = [method for method in METHODS if method not in CALLED]
    assert not untried, f"methods that were not tried: {untried}"
    print(f"{len(METHODS)} methods")


main(sys.argv[1], int(sys.argv[2]))
