"""TLS and API keys of `serve`, by Python's ssl and tritonclient over HTTP and gRPC."""

import datetime
import ipaddress
import os
import socket
import ssl
import subprocess
import time

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from peers import BIN
from serving import PATIENCE, Server, save_identity
from tritonclient.utils import InferenceServerException


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(subject, subject, self.key, x509.BasicConstraints(True, None))
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject, issuer, key, constraints):
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            issuer, subject, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1)
        )
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(constraints, critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name):
        """Paths of a new certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, self.certificate.subject, key, x509.BasicConstraints(False, None))
        paths = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        paths[1].write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        return paths


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "ca")


@pytest.fixture
def model(tmp_path):
    return save_identity(tmp_path / "models" / "m.onnx")


def eventually(condition):
    """Waits for a condition."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def infer(client, module, **options):
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    tensor = module.InferInput("x", x.shape, "FP32")
    tensor.set_data_from_numpy(x)
    np.testing.assert_array_equal(client.infer("m", [tensor], **options).as_numpy("y"), x)


def subject_of(server, authority, alpn=None):
    """The name in the certificate that the server shows, and the protocol that it chose."""
    context = ssl.create_default_context(cafile=authority.path)
    if alpn:
        context.set_alpn_protocols(alpn)
    host, port = server.http.split(":")
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
        return dict(pair for entry in tls.getpeercert()["subject"] for pair in entry)["commonName"], tls.selected_alpn_protocol()


def wait_tls(server, authority):
    server.http = server.address("HTTP")
    server.wait_line("serve: ready")
    return subject_of(server, authority)


def test_both_protocols_speak_tls(authority, model):
    certificate, key = authority.issue("one")
    with Server(model, "--tls-cert", certificate, "--tls-key", key, wait=False) as server:
        assert wait_tls(server, authority)[0] == "one"
        assert subject_of(server, authority, ["h2", "http/1.1"]) == ("one", "http/1.1")
        http = triton_http.InferenceServerClient(
            server.http, ssl=True, ssl_options={"ca_certs": str(authority.path)}, ssl_context_factory=ssl.create_default_context
        )
        with http:
            infer(http, triton_http)
        credentials = {"ssl": True, "root_certificates": str(authority.path)}
        with triton_grpc.InferenceServerClient(server.address("gRPC"), **credentials) as client:
            infer(client, triton_grpc)
        probe = [BIN / "serve", "--probe", f"serve.http_port={server.http.split(':')[1]}"]
        assert subprocess.run([*probe, "--tls-cert", certificate, "--tls-key", key]).returncode == 0
        assert subprocess.run(probe, capture_output=True).returncode == 1
        # Who speaks no TLS is closed, and others are served.
        host, port = server.http.split(":")
        with socket.create_connection((host, int(port))) as plain:
            plain.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP/1.1 200" not in plain.recv(4096)
        assert subject_of(server, authority)[0] == "one"
        assert server.stop() == 0


def test_a_certificate_is_read_again_and_a_broken_one_never_replaces_it(authority, model, tmp_path):
    certificate, key = authority.issue("one")
    new_certificate, new_key = authority.issue("two")
    with Server(model, "--tls-cert", certificate, "--tls-key", key, wait=False) as server:
        wait_tls(server, authority)
        # Another certificate than the key's.
        os.replace(new_certificate, certificate)
        server.wait_line("certificate_kept")
        assert subject_of(server, authority)[0] == "one"
        os.replace(new_key, key)
        eventually(lambda: subject_of(server, authority)[0] == "two")
        key.write_text("garbage")
        server.wait_line(r"certificate_kept.*no private key in PEM")
        assert subject_of(server, authority)[0] == "two"


def test_clients_show_a_certificate_where_one_is_asked_for(authority, model, tmp_path):
    certificate, key = authority.issue("one")
    other = Authority(tmp_path, "other")
    options = ["--tls-cert", certificate, "--tls-key", key, f"serve.tls.client_ca={authority.path}"]
    with Server(model, *options, wait=False) as server:
        server.http = server.address("HTTP")
        host, port = server.http.split(":")

        def status(pair):
            context = ssl.create_default_context(cafile=authority.path)
            if pair:
                context.load_cert_chain(*pair)
            try:
                with socket.create_connection((host, int(port))) as plain:
                    with context.wrap_socket(plain, server_hostname=host) as tls:
                        tls.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                        return tls.recv(15)
            except OSError:
                return b""

        assert status(authority.issue("client")) == b"HTTP/1.1 200 OK"
        assert status(other.issue("stranger")) == b""
        assert status(None) == b""


def test_what_cannot_be_tls_is_refused(authority, model, tmp_path):
    certificate, key = authority.issue("one")
    empty = tmp_path / "empty"
    empty.write_text("")
    for options, expected in [
        (["--tls-cert", certificate], "--tls-key"),
        (["--tls-key", key], "--tls-cert"),
        (["--tls-cert", tmp_path / "none", "--tls-key", key], "none: No such file"),
        (["--tls-cert", empty, "--tls-key", key], "empty: no certificate in PEM"),
        (["--tls-cert", certificate, "--tls-key", certificate], "one.crt: no private key in PEM"),
        (["--tls-cert", authority.path, "--tls-key", key], "ca.pem and "),
    ]:
        with Server(model, *options, wait=False) as server:
            assert server.stop(0) == 2
            assert expected in server.lines[-1], server.lines


def test_requests_need_a_key_of_the_file_as_it_is_now(model, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("# ours\nann:first-key\nsecond-key\n")
    keys.chmod(0o600)
    with Server(model, "--api-keys", keys, "serve.log=info") as server:
        assert server.get("/v2/health/ready")[0] == server.get("/v2/health/live")[0] == 200
        status, headers, body = server.get("/v2/models/m/ready")
        assert (status, headers["www-authenticate"]) == (401, "Bearer") and b"API key" in body
        status = lambda **headers: server.get("/v2/models/m/ready", headers=headers)[0]  # noqa: E731
        assert status(Authorization="Bearer first-key") == 200
        assert status(**{"X-API-Key": "second-key"}) == 200
        for wrong in ["first", "first-key2", "ann:first-key", "FIRST-KEY", ""]:
            assert status(Authorization=f"Bearer {wrong}") == 401
        assert status(Authorization="Basic first-key") == 401

        address = server.address("gRPC")
        with triton_grpc.InferenceServerClient(address) as client:
            assert client.is_server_live() and client.is_server_ready()
            infer(client, triton_grpc, headers={"authorization": "Bearer first-key"})
            infer(client, triton_grpc, headers={"x-api-key": "second-key"})
            for headers in [{}, {"authorization": "Bearer wrong"}]:
                with pytest.raises(InferenceServerException, match="API key") as caught:
                    infer(client, triton_grpc, headers=headers)
                assert caught.value.status() == str(grpc.StatusCode.UNAUTHENTICATED)

        # A key is replaced; a file without keys, and one that is gone, replace nothing.
        keys.write_text("ann:third-key\n")
        eventually(lambda: status(Authorization="Bearer third-key") == 200)
        assert status(Authorization="Bearer first-key") == 401
        keys.write_text("# none\n")
        server.wait_line("api_keys_kept.*no API key")
        keys.unlink()
        server.wait_line("api_keys_kept.*(No such file|os error 2)")
        assert status(Authorization="Bearer third-key") == 200

        # Metrics are open unless a setting says otherwise; logs name the key's owner and never the key.
        assert server.metrics()[0] == 200
        server.stop()
        log = "".join(server.lines)
        assert '"key":"ann"' in log and "-key" not in log.replace("--api-keys", ""), log


def test_metrics_need_a_key_if_a_setting_says_so(model, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("the-key\n")
    keys.chmod(0o604)
    with Server(model, "--api-keys", keys, "serve.protect_metrics=true") as server:
        assert server.metrics()[0] == 401
        assert server.metrics({"Authorization": "Bearer the-key"})[0] == 200
        server.wait_line(r"keys: every user of this system can read the keys \(chmod o-r\)")


def test_what_cannot_be_keys_is_refused(model, tmp_path):
    keys = tmp_path / "keys"
    for text, options, expected in [
        ("", [], "keys: no API key"),
        ("a\nann: \n", [], "keys:2: expected KEY or NAME:KEY"),
        ("two words\n", [], "keys:1: expected KEY or NAME:KEY"),
    ]:
        keys.write_text(text)
        with Server(model, "--api-keys", keys, *options, wait=False) as server:
            assert server.stop(0) == 2
            assert expected in server.lines[-1] and "words" not in server.lines[-1], server.lines
    with Server(model, "serve.protect_metrics=true", wait=False) as server:
        assert server.stop(0) == 2
        assert "--api-keys" in server.lines[-1]


def test_a_server_that_everyone_reaches_says_so(model):
    with Server(model, "--host", "0.0.0.0") as server:
        server.wait_line(r"0\.0\.0\.0 without API keys: whoever reaches the ports can use the models \(--api-keys FILE\)")
