"""A real server of S3's protocol on this machine, and what requests are made."""

import os
import uuid
from contextlib import contextmanager

import pytest

from goodteacher.studies.remote_files import remote_files

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "something",
    "AWS_DEFAULT_REGION": "us-east-1",
}


_SERVERS = []


def forget():
    """Let the next one who asks for a URL begin anew, with the environment as it is then."""
    remote_files.cache_clear()
    try:
        from s3fs import S3FileSystem
    except ImportError:
        return
    S3FileSystem.clear_instance_cache()


def packages():
    """Skip where the server, or what speaks to it, is not installed."""
    pytest.importorskip("s3fs", reason="needs goodteacher[s3]")
    pytest.importorskip("moto.server", reason="needs moto[server]")


@contextmanager
def served(port=0):
    """Give the endpoint of a server that runs meanwhile, of no buckets, set for this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    _SERVERS.append(server)
    host, port = server.get_host_and_port()
    before = {name: os.environ.get(name) for name in (*CREDENTIALS, "AWS_ENDPOINT_URL")}
    os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL=f"http://{host}:{port}")
    forget()
    try:
        yield os.environ["AWS_ENDPOINT_URL"]
    finally:
        _SERVERS.pop().stop()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        forget()


def stopped():
    """Stop the server, and return one for its port that has what it had, to be started."""
    from moto.server import ThreadedMotoServer

    host, port = _SERVERS[-1].get_host_and_port()
    _SERVERS[-1].stop()
    _SERVERS[-1] = ThreadedMotoServer(ip_address=host, port=port, verbose=False)
    return _SERVERS[-1]


def bucket():
    """Make a bucket of a new name, and return its URL."""
    import boto3

    name = f"made-{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"


def counting(monkeypatch, files):
    """Return a list to which every request of a file system is added, by the name of its method."""
    asked = []
    for name in ("info", "ls", "find", "cat_file", "get_file", "put_file", "pipe_file", "rm_file"):
        method = getattr(files.fs, name)

        def call(*args, _name=name, _method=method, **settings):
            asked.append(_name)
            return _method(*args, **settings)

        monkeypatch.setattr(files.fs, name, call)
    return asked
