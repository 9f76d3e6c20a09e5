//! `--probe`: whether a server on this machine is ready, for health checks where there is no curl.

use crate::settings::Settings;
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// How long a server may take to accept the connection, and to answer.
const PATIENCE: Duration = Duration::from_secs(2);
const QUESTION: &[u8] = b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const YES: &[u8] = b"HTTP/1.1 200 ";

/// Why the server that was started with these settings is not ready; None if it is.
pub fn refusal(settings: &Settings) -> Option<String> {
    let address = SocketAddr::new(reachable(settings.host), settings.http_port);
    match ask(address) {
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

fn ask(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(QUESTION)?;
    let mut status = [0; YES.len()];
    stream.read_exact(&mut status)?;
    Ok(status == YES)
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
        let ready = ask(address);
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
