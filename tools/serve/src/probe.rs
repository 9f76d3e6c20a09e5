//! `--probe`: whether a server on this machine is ready, for health checks where there is no curl.

use crate::settings::Settings;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{self, WebPkiSupportedAlgorithms, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

/// How long a server may take to accept the connection, and to answer.
const PATIENCE: Duration = Duration::from_secs(2);
const QUESTION: &[u8] = b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const YES: &[u8] = b"HTTP/1.1 200 ";

/// Why the server that was started with these settings is not ready; None if it is.
pub fn refusal(settings: &Settings) -> Option<String> {
    let address = SocketAddr::new(reachable(settings.host), settings.http_port);
    match ask(address, settings.tls.certificate.is_some()) {
        Ok(true) => None,
        Ok(false) => Some(format!("the server at {address} is not ready")),
        Err(e) => Some(format!("no answer from {address} (the settings serve.host and serve.http_port): {e}")),
    }
}

/// The address at which this machine reaches a server that listens on `host`.
fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    }
}

fn ask(address: SocketAddr, is_tls: bool) -> io::Result<bool> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if is_tls { answer(StreamOwned::new(client(address)?, stream)) } else { answer(stream) }
}

fn answer(mut stream: impl Read + Write) -> io::Result<bool> {
    stream.write_all(QUESTION)?;
    let mut status = [0; YES.len()];
    stream.read_exact(&mut status)?;
    Ok(status == YES)
}

fn client(address: SocketAddr) -> io::Result<ClientConnection> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(AnyCertificate(provider.signature_verification_algorithms));
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?.dangerous().with_custom_certificate_verifier(verifier);
    let config = Arc::new(config.with_no_client_auth());
    ClientConnection::new(config, address.ip().into()).map_err(io::Error::other)
}

/// Takes any certificate: that of this machine's own server need not name the address that it is asked at. Nothing secret
/// is sent to it.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    fn answer_of(response: &'static [u8]) -> io::Result<bool> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut asked = [0; QUESTION.len()];
            stream.read_exact(&mut asked).expect("the question");
            assert_eq!(asked, QUESTION);
            stream.write_all(response).expect("the answer");
        });
        let ready = ask(address, false);
        server.join().expect("the server");
        ready
    }

    #[test]
    fn only_status_200_is_ready() {
        assert!(answer_of(b"HTTP/1.1 200 OK\r\n\r\n").expect("an answer"));
        assert!(!answer_of(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").expect("an answer"));
        assert!(!answer_of(b"SSH-2.0-OpenSSH_9.2p1\r\n").expect("an answer"));
        assert!(answer_of(b"HTTP/1.1").is_err());
    }

    #[test]
    fn a_server_on_every_address_is_asked_on_loopback() {
        for (host, asked) in [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.1", "10.0.0.1"), ("::1", "::1")] {
            assert_eq!(reachable(host.parse().expect("an address")).to_string(), asked);
        }
    }
}
