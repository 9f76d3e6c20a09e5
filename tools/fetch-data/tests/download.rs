//! The real binary against servers that go wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod server;

use common::{Cifar, Folder, cifar, sha256, source};
use server::{Answer, Server};
use std::fs;
use testkit::{Done, tool};

/// A download into a folder: the data, and the settings that describe it.
struct Case {
    folder: Folder,
    data: Cifar,
}

impl Case {
    fn new() -> Self {
        // Noise, which gzip makes no smaller: some 180 kB.
        Self { folder: Folder::new(), data: cifar(10) }
    }

    fn file(&self) -> &[u8] {
        &self.data.archive
    }

    fn server(&self, script: &[Answer]) -> Server {
        Server::start(self.file(), script)
    }

    fn settings(&self, servers: &[&Server], more: &[&str]) -> Vec<String> {
        let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        source(&urls, self.file()).into_iter().chain(more.iter().map(ToString::to_string)).collect()
    }

    fn works(&self, servers: &[&Server], more: &[&str]) -> String {
        let settings = self.settings(servers, more);
        let said = self.folder.works(&settings.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(self.folder.rows("train") == self.data.train && self.folder.rows("test") == self.data.test);
        assert_eq!(self.folder.cached(), [sha256(self.file())]);
        said
    }

    fn fails(&self, servers: &[&Server], more: &[&str]) -> String {
        self.fails_with(2, servers, more)
    }

    /// Fails in a way that may pass by itself.
    fn fails_for_now(&self, servers: &[&Server], more: &[&str]) -> String {
        self.fails_with(75, servers, more)
    }

    fn fails_with(&self, status: i32, servers: &[&Server], more: &[&str]) -> String {
        let settings = self.settings(servers, more);
        self.folder.fails_with(status, &settings.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// What is in the cache under the name of a file that is on its way.
    fn part(&self) -> Vec<u8> {
        self.folder.bytes(format!("cache/sha256/{}.part", sha256(self.file())))
    }
}

#[test]
fn a_file_is_downloaded_once() {
    let case = Case::new();
    let server = case.server(&[]);
    let said = case.works(&[&server], &[]);
    assert!(!said.contains("cache"), "{said}");
    let said = case.works(&[&server], &[]);
    assert!(said.contains("data.tar.gz: in the cache"), "{said}");
    assert_eq!(server.requests(), [""]);
    // A file that is damaged in the cache is no file of the cache.
    let cached = case.folder.join(format!("cache/sha256/{}", sha256(case.file())));
    fs::write(&cached, b"damaged").unwrap();
    case.works(&[&server], &[]);
    assert_eq!(server.requests(), ["", ""]);
}

#[test]
fn a_download_goes_on_where_it_was_cut() {
    for cut in [Answer::Cut, Answer::CutWithoutLength] {
        let case = Case::new();
        let server = case.server(&[cut(1000), cut(0), cut(70_000)]);
        let said = case.works(&[&server], &["download.retries=2"]);
        assert_eq!(server.requests(), ["", "bytes=1000-", "bytes=1000-", "bytes=71000-"], "{said}");
        assert_eq!(said.matches("trying again").count(), 3, "{said}");
    }
}

#[test]
fn another_run_goes_on_where_one_ended() {
    let case = Case::new();
    let server = case.server(&[Answer::Cut(5000)]);
    let message = case.fails_for_now(&[&server], &["download.retries=0"]);
    assert!(message.contains("http://127.0.0.1"), "{message}");
    assert!(case.part() == case.file()[..5000]);
    case.works(&[&server], &["download.retries=0"]);
    assert_eq!(server.requests(), ["", "bytes=5000-"]);
}

#[test]
fn a_stalled_download_is_tried_again() {
    let case = Case::new();
    let server = case.server(&[Answer::Stall(5000)]);
    let said = case.works(&[&server], &["download.read_timeout=300ms"]);
    assert_eq!(server.requests(), ["", "bytes=5000-"], "{said}");
}

#[test]
fn a_server_in_trouble_is_tried_again_and_one_that_refuses_is_not() {
    let case = Case::new();
    let server = case.server(&[Answer::Status(503, "Retry-After: 0"), Answer::Status(429, "X-A: b")]);
    let said = case.works(&[&server], &[]);
    assert_eq!(server.requests().len(), 3);
    assert!(said.contains("HTTP status 503") && said.contains("trying again in 0s"), "{said}");

    let case = Case::new();
    let server = case.server(&[Answer::Status(503, "X-A: b"); 3]);
    let message = case.fails_for_now(&[&server], &["download.retries=2"]);
    assert!(server.requests().len() == 3 && message.contains("HTTP status 503"), "{message}");

    let case = Case::new();
    let server = case.server(&[Answer::Status(404, "X-A: b")]);
    let message = case.fails(&[&server], &[]);
    assert!(server.requests().len() == 1 && message.contains("HTTP status 404"), "{message}");
    assert_eq!(case.folder.cached(), [""; 0], "no empty beginning is kept");
}

#[test]
fn one_mirror_that_may_answer_later_is_enough() {
    let (case, no_retry) = (Case::new(), ["download.retries=0"]);
    let gone = || case.server(&[Answer::Status(404, "X-A: b")]);
    let busy = || case.server(&[Answer::Status(503, "X-A: b")]);
    let message = case.fails_for_now(&[&busy(), &gone()], &no_retry);
    assert!(message.contains("HTTP status 503") && message.contains("; http://127.0.0.1:"), "{message}");
    case.fails_for_now(&[&gone(), &busy()], &no_retry);
    case.fails(&[&gone(), &gone()], &no_retry);
    case.fails_for_now(&[&case.server(&[Answer::Status(429, "X-A: b")])], &no_retry);
    case.fails(&[&case.server(&[Answer::Status(401, "X-A: b")])], &no_retry);
}

#[test]
fn a_server_that_does_not_speak_tls_is_not_tried_again() {
    let case = Case::new();
    let server = case.server(&[]);
    let mut settings = case.settings(&[&server], &[]);
    settings[0] = settings[0].replace("http:", "https:");
    let message = case.folder.fails(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(message.contains("https://127.0.0.1"), "{message}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn the_next_mirror_is_tried_and_goes_on_where_the_first_ended() {
    let case = Case::new();
    let first = case.server(&[Answer::Cut(3000), Answer::Status(404, "X-A: b")]);
    let second = case.server(&[]);
    let said = case.works(&[&first, &second], &[]);
    assert!(said.contains("HTTP status 404 Not Found; trying http://127.0.0.1"), "{said}");
    assert_eq!((first.requests().len(), second.requests()), (2, vec!["bytes=3000-".to_owned()]));
}

#[test]
fn nobody_listening_is_a_reason_for_the_next_mirror() {
    let case = Case::new();
    let server = case.server(&[]);
    let mut settings = case.settings(&[&server], &["download.retries=0"]);
    settings[0] = format!("dataset.files.archive.urls=['http://127.0.0.1:1/x',{}]", server.url());
    let said = case.folder.works(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.contains("http://127.0.0.1:1/x: Connection refused"), "{said}");
}

#[test]
fn a_wrong_file_leaves_nothing_behind_and_is_no_reason_to_give_up() {
    let case = Case::new();
    let garbage: Vec<u8> = case.file().iter().map(|byte| !byte).collect();
    let server = case.server(&[Answer::Garbage]);
    let message = case.fails(&[&server], &[]);
    let expected = format!("its sha256 is {}, expected {}", sha256(&garbage), sha256(case.file()));
    assert!(message.contains(&server.url().replace('\'', "")) && message.contains(&expected), "{message}");
    assert_eq!(case.folder.cached(), [""; 0]);

    let (bad, good) = (case.server(&[Answer::Garbage]), case.server(&[]));
    case.works(&[&bad, &good], &[]);
}

#[test]
fn a_file_of_another_size_is_refused() {
    let case = Case::new();
    let server = case.server(&[Answer::TooMuch]);
    let message = case.fails(&[&server], &[]);
    assert!(message.contains(&format!("more than {} bytes", case.file().len())), "{message}");
    assert_eq!(case.folder.cached(), [""; 0]);

    let short = Server::start(&case.file()[1..], &[]);
    let message = case.fails(&[&short], &[]);
    let expected = format!("{} bytes, expected {}", case.file().len() - 1, case.file().len());
    assert!(message.contains(&expected), "{message}");
    assert_eq!((short.requests().len(), case.folder.cached()), (1, vec![]));

    let server = case.server(&[]);
    let unknown = ["dataset.files.archive.bytes=null", "download.max_bytes=1000"];
    let message = case.fails(&[&server], &unknown);
    assert!(message.contains("larger than download.max_bytes, 1000"), "{message}");
    let server = case.server(&[Answer::TooMuch]);
    let message = case.fails(&[&server], &unknown);
    assert!(message.contains("larger than download.max_bytes, 1000"), "{message}");
    assert_eq!(case.folder.cached(), [""; 0]);
}

#[test]
fn a_server_without_ranges_starts_over() {
    for odd in [Answer::NoRange, Answer::OtherRange, Answer::Status(416, "X-A: b")] {
        let case = Case::new();
        let server = case.server(&[Answer::Cut(9000), odd]);
        case.works(&[&server], &[]);
        assert_eq!(server.requests()[1], "bytes=9000-");
    }
}

#[test]
fn a_server_without_ranges_that_always_cuts_is_given_up() {
    let case = Case::new();
    // Each answer begins anew, so that only the first brings anything.
    let server = case.server(&[Answer::CutNoRange(9000); 30]);
    let message = case.fails_for_now(&[&server], &["download.retries=3"]);
    assert!(server.requests().len() == 4 && message.contains("end of file"), "{message}");
}

#[test]
fn a_wrong_beginning_is_thrown_away() {
    let case = Case::new();
    for wrong in [vec![7; 4000], vec![7; case.file().len()], vec![7; case.file().len() + 1]] {
        case.folder.write(format!("cache/sha256/{}.part", sha256(case.file())), &wrong);
        let server = case.server(&[]);
        case.works(&[&server], &[]);
        assert_eq!(server.requests().last().unwrap(), "", "a whole new download");
        fs::remove_dir_all(case.folder.join("cache")).unwrap();
    }
}

#[test]
fn a_server_may_give_less_than_it_was_asked_for() {
    for more in [&[][..], &["dataset.files.archive.bytes=null"]] {
        let case = Case::new();
        let server = case.server(&[Answer::Half("\"a\""), Answer::Half("\"a\"")]);
        case.works(&[&server], more);
        assert_eq!(server.requests().len(), 3);
    }
}

#[test]
fn a_file_that_changes_meanwhile_is_downloaded_anew() {
    let case = Case::new();
    let server = case.server(&[Answer::CutOfOld(3000)]);
    case.works(&[&server], &[]);
    assert_eq!(server.requests(), ["", "bytes=3000-", ""]);
}

#[test]
fn without_a_checksum_only_one_version_is_put_together() {
    let settings = ["dataset.files.archive.sha256=null", "dataset.files.archive.bytes=null"];
    let old = [Answer::CutOfOld(3000), Answer::Half("\"new\"")];
    let weak = [Answer::Half("\"new\""), Answer::Half("W/\"new\"")];
    let unnamed = [Answer::Cut(3000)];
    for script in [&old[..], &weak, &unnamed] {
        let case = Case::new();
        let server = case.server(script);
        let message = case.fails(&[&server], &settings);
        assert!(message.contains(&sha256(case.file())), "{script:?}: {message}");
        assert_eq!(server.requests().last().unwrap(), "", "a whole new download");
    }
    let case = Case::new();
    let server = case.server(&[Answer::Cut(3000), Answer::Cut(2000)]);
    case.fails_for_now(&[&server], &[settings[0], settings[1], "download.retries=0"]);
    case.fails_for_now(&[&server], &[settings[0], settings[1], "download.retries=0"]);
    let message = case.fails(&[&server], &settings);
    assert!(message.contains(&sha256(case.file())), "{message}");
    assert_eq!(server.requests(), ["", "", ""], "nor with what an earlier run left");
}

#[test]
fn what_nothing_vouches_for_is_not_used() {
    let case = Case::new();
    let server = case.server(&[]);
    let message = case.fails(&[&server], &["dataset.files.archive.sha256=null"]);
    let pin = format!("dataset.files.archive.sha256={}", sha256(case.file()));
    assert!(message.contains(&pin), "{message}");
    // The advice works, and nothing is downloaded again.
    case.works(&[&server], &[&pin]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn the_proxy_of_the_environment_is_asked() {
    let case = Case::new();
    let proxy = case.server(&[]);
    let proxy_url = proxy.url().replace('\'', "").replace("/files/data.tar.gz", "");
    let urls = source(&["'http://dataset.invalid/data.tar.gz'"], case.file());
    let command = tool!("fetch-data").within(&*case.folder).env("http_proxy", proxy_url);
    let command = command.without_env(["no_proxy", "NO_PROXY"]).args(["-o", "out", "download.cache=cache"]);
    let done = command.args(urls).run();
    assert_eq!(done.status, 0, "{}", done.error);
    assert_eq!(proxy.requests().len(), 1);
}

#[test]
fn two_at_once_download_once() {
    let case = Case::new();
    let server = case.server(&[]);
    let settings = case.settings(&[&server], &["download.cache=cache"]);
    let start =
        |out: &str| tool!("fetch-data").within(&*case.folder).args(["-o", out, "--quiet"]).args(&settings).spawn();
    for running in ["a", "b", "c"].map(start) {
        assert!(running.wait().success());
    }
    assert_eq!(server.requests().len(), 1);
    assert!(case.folder.bytes("a/train.npy") == case.folder.bytes("c/train.npy"));
}

#[test]
fn two_into_one_folder_take_turns() {
    let case = Case::new();
    let server = case.server(&[Answer::Stall(5000)]);
    let settings = case.settings(&[&server], &["download.cache=cache", "download.read_timeout=500ms"]);
    let start =
        |settings: &[String]| tool!("fetch-data").within(&*case.folder).args(["-o", "out"]).args(settings).spawn();
    let first = start(&settings);
    while server.requests().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // This one would be done long before the first.
    let small = cifar(1);
    case.folder.write("c", &small.archive);
    let Done { status, error: said, .. } = start(&source(&["c"], &small.archive)).output().into();
    assert!(status == 0 && said.contains("out: waiting for another fetch-data"), "{said}");
    assert!(first.output().status.success());
    assert!(case.folder.rows("train") == small.train && case.folder.rows("test") == small.test);
}

#[test]
#[cfg(unix)]
fn a_cache_that_cannot_be_written_is_still_read() {
    use std::os::unix::fs::PermissionsExt;
    let case = Case::new();
    let server = case.server(&[]);
    case.works(&[&server], &[]);
    let set = |mode| fs::set_permissions(case.folder.join("cache/sha256"), fs::Permissions::from_mode(mode)).unwrap();
    // Not even root may make a file under a name that is taken by a folder.
    fs::remove_file(case.folder.join(format!("cache/sha256/{}.lock", sha256(case.file())))).unwrap();
    fs::create_dir(case.folder.join(format!("cache/sha256/{}.lock", sha256(case.file())))).unwrap();
    set(0o555);
    case.works(&[&server], &[]);
    set(0o755);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_password_stays_out_of_messages() {
    let case = Case::new();
    for (address, shown, status) in [
        // Nobody listens there, and somebody may.
        ("http://me:secret@127.0.0.1:1/data.tar.gz", "http://me:***@127.0.0.1:1/data.tar.gz", 75),
        ("http://me:secret@127.0.0.1:99999/x", "http://me:***@127.0.0.1:99999/x", 2),
        ("http://me:sec/ret@127.0.0.1/x", "http://me:***@127.0.0.1/x", 2),
        ("ftp://me:secret@host/x", "ftp://me:***@host/x", 2),
        ("file://me:secret@host/x", "file://me:***@host/x", 2),
    ] {
        let settings = source(&[&format!("'{address}'")], case.file());
        let settings: Vec<&str> = settings.iter().map(String::as_str).chain(["download.retries=0"]).collect();
        let message = case.folder.fails_with(status, &settings);
        assert!(message.contains(shown) && !message.contains("ret@"), "{message}");
    }
}
