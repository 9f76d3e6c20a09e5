//! A server of files that answers ranges and, on request, goes wrong: plain sockets, since a well-kept server
//! has no way to cut an answer in the middle.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// What was asked for.
    Good,
    /// A good head, then so many bytes, then the connection is cut.
    Cut(usize),
    /// The same without a length in the head.
    CutWithoutLength(usize),
    /// A good head, then so many bytes, then nothing.
    Stall(usize),
    /// The whole file, whatever was asked for; or the beginning of it, and then the connection is cut.
    NoRange,
    CutNoRange(usize),
    /// Half of what was asked for, as a partial answer, of a version with this ETag.
    Half(&'static str),
    /// The beginning of another file of the same length, of the version `"old"`; then the connection is cut.
    CutOfOld(usize),
    /// A part of the file, but from its second byte on.
    OtherRange,
    /// This status, with this header line.
    Status(u16, &'static str),
    /// Bytes that have nothing to do with the file, as many as it has; or one more, without a length.
    Garbage,
    TooMuch,
}

pub struct Server {
    port: u16,
    /// The range that each request asked for, `bytes=5-`, or nothing.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves `file` under any path. Requests are answered as `script` says, in order, and well afterwards.
    pub fn start(file: &[u8], script: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, file) = (Arc::clone(&requests), file.to_vec());
        let mut script: VecDeque<Answer> = script.iter().copied().collect();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = script.pop_front().unwrap_or(Answer::Good);
                let (log, file) = (Arc::clone(&log), file.clone());
                thread::spawn(move || {
                    let range = request(&stream);
                    log.lock().unwrap().push(range.clone());
                    // The client may have gone away, which is its right.
                    let _ = respond(stream, &file, &range, answer);
                });
            }
        });
        Self { port, requests }
    }

    pub fn url(&self) -> String {
        format!("'http://127.0.0.1:{}/files/data.tar.gz'", self.port)
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads a request; returns the range that it asks for.
fn request(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let mut range = String::new();
    for line in lines {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: ") {
            range = value.to_owned();
        }
    }
    range
}

fn respond(mut stream: TcpStream, file: &[u8], range: &str, answer: Answer) -> std::io::Result<()> {
    let asked = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok());
    let start = match answer {
        Answer::NoRange | Answer::CutNoRange(_) | Answer::CutOfOld(_) | Answer::Garbage | Answer::TooMuch => None,
        Answer::Half(_) => asked.or(Some(0)),
        Answer::OtherRange => Some(1),
        _ => asked,
    };
    let garbage: Vec<u8> = file.iter().map(|byte| !byte).chain([0]).collect();
    let body = match answer {
        Answer::Garbage | Answer::CutOfOld(_) => &garbage[..file.len()],
        Answer::Half(_) => &file[asked.unwrap_or(0)..file.len() - (file.len() - asked.unwrap_or(0)) / 2],
        Answer::TooMuch => &garbage,
        _ => &file[start.unwrap_or(0).min(file.len())..],
    };
    if let Answer::Status(status, header) = answer {
        return write!(stream, "HTTP/1.1 {status} x\r\n{header}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    match start {
        Some(start) if start >= file.len() => {
            return write!(stream, "HTTP/1.1 416 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        Some(start) => {
            let (last, total) = ((start + body.len()).max(1) - 1, file.len());
            write!(stream, "HTTP/1.1 206 x\r\nContent-Range: bytes {start}-{last}/{total}\r\n")?;
        }
        None => write!(stream, "HTTP/1.1 200 OK\r\n")?,
    }
    match answer {
        Answer::Half(tag) => write!(stream, "ETag: {tag}\r\n")?,
        Answer::CutOfOld(_) => write!(stream, "ETag: \"old\"\r\n")?,
        _ => {}
    }
    if !matches!(answer, Answer::CutWithoutLength(_) | Answer::TooMuch) {
        write!(stream, "Content-Length: {}\r\n", body.len())?;
    }
    write!(stream, "Connection: close\r\n\r\n")?;
    match answer {
        Answer::Cut(count) | Answer::CutWithoutLength(count) | Answer::CutNoRange(count) | Answer::CutOfOld(count) => {
            stream.write_all(&body[..count.min(body.len())])
        }
        Answer::Stall(count) => {
            stream.write_all(&body[..count])?;
            thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        _ => stream.write_all(body),
    }
}
