//! How the ranks find each other: all connect to rank 0, which tells each where the others listen.

use super::hello::{Hello, TOKEN, Welcome};
use crate::{Error, Launch, Result};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    thread,
    time::{Duration, Instant},
};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);
/// For the first bytes of whoever connects: a stranger that says nothing must not keep the others waiting.
const HELLO_TIME: Duration = Duration::from_secs(2);

/// Connections to all other ranks, by rank.
pub fn meet(
    launch: &Launch,
    host: &str,
    port: u16,
    deadline: Instant,
    timeout: Duration,
) -> Result<Vec<Option<TcpStream>>> {
    let Launch { rank, size, .. } = *launch;
    let job = Job { rank, size, address: format!("{host}:{port}"), deadline, timeout };
    if rank == 0 { job.collect(host, port) } else { job.join(host, port) }
}

struct Job {
    rank: usize,
    size: usize,
    /// Where rank 0 listens.
    address: String,
    deadline: Instant,
    timeout: Duration,
}

impl Job {
    /// Rank 0: waits for all others, then tells each where they are.
    fn collect(&self, host: &str, port: u16) -> Result<Vec<Option<TcpStream>>> {
        let listener = TcpListener::bind((listening_address(host), port))
            .map_err(|source| Error::Listen { address: self.address.clone(), source })?;
        let mut peers: Vec<Option<TcpStream>> = (0..self.size).map(|_| None).collect();
        let mut addresses = vec![SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0); self.size];
        while let Some(missing) = missing(&peers[1..]) {
            let (stream, hello) = self.accept(&listener, self.size - missing)?;
            let rank = hello.rank as usize;
            if let Some(problem) = self.problem(hello, peers.get(rank).is_some_and(Option::is_some)) {
                peers.iter().flatten().chain([&stream]).for_each(Welcome::refuse);
                return Err(Error::Refused { rank, problem });
            }
            addresses[rank] = SocketAddr::new(stream.peer_addr()?.ip(), hello.port);
            peers[rank] = Some(stream);
        }
        let mut token = [0; TOKEN];
        getrandom::fill(&mut token).map_err(|problem| io::Error::other(problem.to_string()))?;
        let welcome = Welcome { token, addresses };
        for (rank, peer) in peers.iter().enumerate() {
            let Some(peer) = peer else { continue };
            welcome.send(peer).map_err(|source| self.lost(rank, source))?;
        }
        Ok(peers)
    }

    /// Why a rank does not fit in; its number may be any.
    fn problem(&self, hello: Hello, is_here: bool) -> Option<String> {
        let (rank, size) = (hello.rank as usize, hello.size as usize);
        if size != self.size {
            return Some(format!("it was started as one of {size} ranks, and rank 0 as one of {}", self.size));
        }
        (rank == 0 || rank >= self.size || is_here).then(|| "two processes have this rank".into())
    }

    /// Another rank: connects to rank 0 and those below it, and waits for those above it.
    fn join(&self, host: &str, port: u16) -> Result<Vec<Option<TcpStream>>> {
        let listener = TcpListener::bind((listening_address(host), 0))?;
        let own_port = listener.local_addr()?.port();
        let hello = |token| Hello { rank: self.rank as u32, size: self.size as u32, port: own_port, token };
        let first = self.reach(host, port)?;
        let greeted = hello([0; TOKEN]).send(&first).and_then(|()| {
            first.set_read_timeout(Some(self.left()))?;
            Welcome::receive(&first, self.size)
        });
        let welcome = greeted.map_err(|source| self.lost(0, closed(source)))?;
        let Some(Welcome { token, addresses }) = welcome else {
            return Err(Error::Failed { rank: 0, size: self.size });
        };
        let mut peers: Vec<Option<TcpStream>> = (0..self.size).map(|_| None).collect();
        for rank in 1..self.rank {
            let connect = || {
                let stream = TcpStream::connect_timeout(&addresses[rank], self.left())?;
                hello(token).send(&stream)?;
                Ok(stream)
            };
            peers[rank] = Some(connect().map_err(|source| self.lost(rank, source))?);
        }
        peers[0] = Some(first);
        while let Some(missing) = missing(&peers[self.rank + 1..]) {
            let (stream, hello) = self.accept(&listener, self.size - missing)?;
            let rank = hello.rank as usize;
            let is_expected = (self.rank + 1..self.size).contains(&rank) && peers[rank].is_none();
            // A stranger is not told why it is turned away.
            if is_expected && hello.token == token {
                peers[rank] = Some(stream);
            }
        }
        Ok(peers)
    }

    /// The next connection that begins with a hello; others are closed.
    fn accept(&self, listener: &TcpListener, arrived: usize) -> Result<(TcpStream, Hello)> {
        listener.set_nonblocking(true)?;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    let hello = stream
                        .set_nonblocking(false)
                        .and_then(|()| stream.set_read_timeout(Some(HELLO_TIME.min(self.left()))))
                        .and_then(|()| Hello::receive(&stream));
                    if let Ok(Some(hello)) = hello {
                        return Ok((stream, hello));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
            if Instant::now() >= self.deadline {
                let (address, seconds) = (self.address.clone(), self.timeout.as_secs());
                return Err(Error::Missing { address, arrived, size: self.size, seconds });
            }
        }
    }

    /// A connection to rank 0, which may not listen yet.
    fn reach(&self, host: &str, port: u16) -> Result<TcpStream> {
        loop {
            // Looked up anew each time: in a cluster, the name may appear late.
            let addresses = (host, port).to_socket_addrs();
            let connected = addresses.and_then(|addresses| {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
                for address in addresses {
                    match TcpStream::connect_timeout(&address, self.left()) {
                        Ok(stream) => return Ok(stream),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            });
            match connected {
                Ok(stream) => return Ok(stream),
                Err(source) if Instant::now() >= self.deadline => {
                    return Err(Error::Unreachable { address: self.address.clone(), source });
                }
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    /// Time until the deadline; never 0, which would mean no limit.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }

    fn lost(&self, rank: usize, source: io::Error) -> Error {
        Error::Lost { rank, size: self.size, source }
    }
}

/// How many of the ranks are missing; None where all are here.
fn missing(peers: &[Option<TcpStream>]) -> Option<usize> {
    Some(peers.iter().filter(|peer| peer.is_none()).count()).filter(|&count| count > 0)
}

/// All interfaces: a name of this machine may resolve to 127.0.1.1 on it, and to a service's address in a cluster. Within
/// one machine, its loopback interface alone.
fn listening_address(host: &str) -> IpAddr {
    match host.parse() {
        Ok(ip @ IpAddr::V4(v4)) if v4.is_loopback() => ip,
        Ok(ip @ IpAddr::V6(v6)) if v6.is_loopback() => ip,
        Ok(IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        _ if host == "localhost" => Ipv4Addr::LOCALHOST.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// A closed connection in words that do not pass for a closed standard output, and say what is meant.
fn closed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            io::Error::new(io::ErrorKind::ConnectionReset, "it closed the connection")
        }
        io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "it does not answer"),
        _ => error,
    }
}
