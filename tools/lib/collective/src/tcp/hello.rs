//! The first bytes of a connection, both ways.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream},
};

/// Changes with the protocol.
const MAGIC: [u8; 8] = *b"pgrank01";
/// A machine with another byte order reads another number.
const BYTE_ORDER: u32 = 0x0102_0304;
/// Bytes of a token.
pub const TOKEN: usize = 16;
/// Bytes of a [`Hello`].
const HELLO: usize = 40;
/// Bytes of an address in a [`Welcome`].
const ADDRESS: usize = 18;

/// What a rank says when it connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    pub rank: u32,
    pub size: u32,
    /// Where it listens for ranks above it.
    pub port: u16,
    /// Zeros to rank 0, which hands the token out.
    pub token: [u8; TOKEN],
}

impl Hello {
    pub fn send(self, mut stream: &TcpStream) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(HELLO);
        bytes.extend(MAGIC);
        bytes.extend(BYTE_ORDER.to_ne_bytes());
        bytes.extend(self.rank.to_ne_bytes());
        bytes.extend(self.size.to_ne_bytes());
        bytes.extend(self.port.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(self.token);
        stream.write_all(&bytes)
    }

    /// None where what came is no hello.
    pub fn receive(mut stream: &TcpStream) -> io::Result<Option<Self>> {
        let mut bytes = [0; HELLO];
        stream.read_exact(&mut bytes)?;
        let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
        if bytes[..8] != MAGIC || word(8) != BYTE_ORDER {
            return Ok(None);
        }
        let mut token = [0; TOKEN];
        token.copy_from_slice(&bytes[24..]);
        Ok(Some(Self { rank: word(12), size: word(16), port: u16::from_ne_bytes([bytes[20], bytes[21]]), token }))
    }
}

/// Rank 0's answer: the token, and where each rank listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    pub token: [u8; TOKEN],
    /// By rank; rank 0's is not used.
    pub addresses: Vec<SocketAddr>,
}

/// Rank 0's answer in one byte, before a welcome.
const ACCEPTED: u8 = 1;
const REFUSED: u8 = 2;

impl Welcome {
    pub fn send(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut bytes = vec![ACCEPTED];
        bytes.extend(self.token);
        for address in &self.addresses {
            let ip = match address.ip() {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            bytes.extend(ip.octets());
            bytes.extend(address.port().to_be_bytes());
        }
        stream.write_all(&bytes)
    }

    pub fn refuse(mut stream: &TcpStream) {
        // The rank that does not fit says so itself when it can; rank 0's own error is what counts.
        let _ = stream.write_all(&[REFUSED]);
    }

    /// None where rank 0 refuses this one.
    pub fn receive(mut stream: &TcpStream, size: usize) -> io::Result<Option<Self>> {
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        match answer {
            [ACCEPTED] => {}
            [REFUSED] => return Ok(None),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "what answers is no rank 0")),
        }
        let mut token = [0; TOKEN];
        stream.read_exact(&mut token)?;
        let mut addresses = Vec::new();
        for _ in 0..size {
            let mut bytes = [0; ADDRESS];
            stream.read_exact(&mut bytes)?;
            let mut octets = [0; 16];
            octets.copy_from_slice(&bytes[..16]);
            let ip = Ipv6Addr::from(octets).to_canonical();
            addresses.push(SocketAddr::new(ip, u16::from_be_bytes([bytes[16], bytes[17]])));
        }
        Ok(Some(Self { token, addresses }))
    }
}
