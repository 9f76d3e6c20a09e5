//! Ranks of threads over the loopback interface, and peers that misbehave.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::{Rendezvous, all_gather, broadcast, broadcast_sized, check_identity};
use std::{io::Read, net::TcpListener, thread};

const TIMEOUT: Duration = Duration::from_secs(20);

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn launch(rank: usize, size: usize, port: u16) -> Launch {
    Launch { rank, size, local_size: None, rendezvous: Rendezvous::Tcp { host: "127.0.0.1".into(), port } }
}

fn connect(rank: usize, size: usize, port: u16, timeout: Duration) -> Result<Mesh> {
    Mesh::connect(&launch(rank, size, port), "127.0.0.1", port, timeout)
}

/// Runs `work` on each of `size` ranks, threads of this process; what each returns.
fn run<T: Send>(size: usize, work: impl Fn(Mesh) -> T + Sync) -> Vec<T> {
    let port = free_port();
    thread::scope(|scope| {
        let work = &work;
        let ranks = (0..size).map(|rank| scope.spawn(move || work(connect(rank, size, port, TIMEOUT).unwrap())));
        let ranks: Vec<_> = ranks.collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

#[test]
fn each_rank_gets_what_the_others_send_it() {
    for size in [2, 3, 5] {
        run(size, |mut mesh| {
            let rank = mesh.rank();
            // Longer than what the kernel buffers, of different lengths, some empty.
            let length = |from: usize, to: usize| if from == to { 0 } else { (from + 2 * to) % 4 * 1_500_000 };
            let value = |from: usize, to: usize, i: usize| (from * 31 + to * 7 + i) as u8;
            for _ in 0..3 {
                let messages: Vec<Vec<u8>> =
                    (0..size).map(|to| (0..length(rank, to)).map(|i| value(rank, to, i)).collect()).collect();
                let outgoing: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
                let mut received: Vec<Vec<u8>> = (0..size).map(|from| vec![0; length(from, rank)]).collect();
                let mut incoming: Vec<&mut [u8]> = received.iter_mut().map(Vec::as_mut_slice).collect();
                mesh.exchange(&outgoing, &mut incoming).unwrap();
                for (from, message) in received.iter().enumerate() {
                    assert!(message.iter().enumerate().all(|(i, &byte)| byte == value(from, rank, i)), "{from}");
                }
            }
        });
    }
}

#[test]
fn collectives() {
    run(4, |mut mesh| {
        let rank = mesh.rank() as u8;
        assert_eq!(all_gather(&mut mesh, &[rank, 7]).unwrap(), [[0, 7], [1, 7], [2, 7], [3, 7]]);
        let mut bytes = [rank + 9; 3];
        broadcast(&mut mesh, &mut bytes).unwrap();
        assert_eq!(bytes, [9; 3]);
        let own = if rank == 0 { b"as long as rank 0 says".to_vec() } else { Vec::new() };
        assert_eq!(broadcast_sized(&mut mesh, own, 100).unwrap(), b"as long as rank 0 says");
        assert!(broadcast_sized(&mut mesh, Vec::new(), 100).unwrap().is_empty());
        check_identity(&mut mesh, &[("version", "1"), ("seed", "2")]).unwrap();
        let differs = check_identity(&mut mesh, &[("version", "1"), ("seed", if rank == 2 { "3" } else { "2" })]);
        assert!(matches!(differs, Err(Error::Differs { rank: 2, what: "seed" })), "{differs:?}");
    });
}

#[test]
fn a_message_longer_than_the_limit_is_refused() {
    let results = run(2, |mut mesh| {
        let own = vec![0; 101 * usize::from(mesh.rank() == 0)];
        matches!(broadcast_sized(&mut mesh, own, 100), Err(Error::Protocol { rank: 0, .. }))
    });
    assert_eq!(results, [true, true]);
}

/// What an exchange of all ranks but `gone` says after that one has `left`.
fn after(size: usize, gone: usize, left: impl Fn(Mesh) + Sync) -> Vec<Option<Error>> {
    run(size, |mut mesh| {
        if mesh.rank() == gone {
            left(mesh);
            return None;
        }
        let result = all_gather(&mut mesh, &[1; 100]);
        mesh.abort(result.as_ref().err());
        result.err()
    })
}

#[test]
fn a_rank_that_goes_is_lost() {
    for size in [2, 4] {
        for error in after(size, 1, drop).into_iter().enumerate().filter(|(rank, _)| *rank != 1) {
            assert!(matches!(error.1, Some(Error::Lost { .. })), "{error:?}");
        }
    }
}

#[test]
fn a_rank_that_ends_with_an_error_says_so() {
    let errors = after(2, 1, |mut mesh| mesh.abort(None));
    assert!(matches!(errors[0], Some(Error::Failed { rank: 1, size: 2 })), "{errors:?}");
    let errors =
        after(2, 1, |mut mesh| mesh.abort(Some(&Error::Lost { rank: 0, size: 2, source: io::Error::other("") })));
    assert!(matches!(errors[0], Some(Error::Lost { rank: 0, size: 2, .. })), "{errors:?}");
}

#[test]
fn a_silent_rank_is_lost_after_the_time_limit() {
    let port = free_port();
    thread::scope(|scope| {
        let silent = scope.spawn(move || connect(1, 2, port, TIMEOUT).unwrap());
        let mut mesh = connect(0, 2, port, TIMEOUT).unwrap();
        mesh.timeout = Duration::from_millis(100);
        let error = all_gather(&mut mesh, &[1]).unwrap_err();
        let Error::Lost { rank: 1, source, .. } = error else { panic!("{error:?}") };
        assert_eq!(source.kind(), io::ErrorKind::TimedOut);
        drop(silent.join().unwrap());
    });
}

#[test]
fn ranks_that_are_not_at_the_same_point_notice() {
    let results = run(2, |mut mesh| {
        mesh.sequence += mesh.rank() as u32;
        all_gather(&mut mesh, &[1; 10]).is_err()
    });
    assert!(results.contains(&true), "{results:?}");
}

#[test]
fn strangers_are_turned_away() {
    let port = free_port();
    thread::scope(|scope| {
        let first = scope.spawn(move || connect(0, 2, port, TIMEOUT));
        let stranger = |bytes: &[u8]| {
            let mut stream = loop {
                match TcpStream::connect(("127.0.0.1", port)) {
                    Ok(stream) => break stream,
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            };
            stream.write_all(bytes).unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert!(answer.is_empty());
        };
        stranger(b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: none\r\n\r\n");
        stranger(&[0xff; 4096]);
        let mut second = connect(1, 2, port, TIMEOUT).unwrap();
        let mut mesh = first.join().unwrap().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || all_gather(&mut second, &[1]).unwrap());
            assert_eq!(all_gather(&mut mesh, &[0]).unwrap(), [[0], [1]]);
        });
    });
}

#[test]
fn another_number_of_ranks_is_refused() {
    let port = free_port();
    thread::scope(|scope| {
        let second = scope.spawn(move || connect(1, 3, port, TIMEOUT).unwrap_err());
        let error = connect(0, 2, port, TIMEOUT).unwrap_err();
        assert_eq!(error.to_string(), "rank 1: it was started as one of 3 ranks, and rank 0 as one of 2");
        assert!(matches!(second.join().unwrap(), Error::Failed { rank: 0, .. }));
    });
}

#[test]
fn two_processes_of_one_rank_are_refused() {
    let port = free_port();
    thread::scope(|scope| {
        let others: Vec<_> = (0..2).map(|_| scope.spawn(move || connect(1, 3, port, TIMEOUT).unwrap_err())).collect();
        let error = connect(0, 3, port, TIMEOUT).unwrap_err();
        assert_eq!(error.to_string(), "rank 1: two processes have this rank");
        for other in others {
            assert!(matches!(other.join().unwrap(), Error::Failed { rank: 0, .. }));
        }
    });
}

#[test]
fn a_rank_that_does_not_come_is_missing() {
    let short = Duration::from_millis(100);
    let error = connect(0, 2, free_port(), short).unwrap_err();
    assert!(matches!(error, Error::Missing { arrived: 1, size: 2, .. }), "{error:?}");
    let error = connect(1, 2, free_port(), short).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}
