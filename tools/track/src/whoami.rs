//! The names of the user and of the machine.

use std::{env, fs};

/// The name of the user, as Python's `getpass.getuser` has it: from the environment, else of the owner of the process.
pub fn user() -> Option<String> {
    let named = ["LOGNAME", "USER", "LNAME", "USERNAME"].iter().find_map(|name| variable(name));
    named.or_else(owner)
}

/// The host name.
pub fn host() -> Option<String> {
    let read = |path| fs::read_to_string(path).ok().map(|name| name.trim().to_owned());
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    files.iter().find_map(read).filter(|name| !name.is_empty()).or_else(|| variable("HOSTNAME"))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The owner of this process: the name in `/etc/passwd`, else the user id.
#[cfg(unix)]
fn owner() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let id = fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(name_of(&users, &id).unwrap_or(id))
}

#[cfg(not(unix))]
fn owner() -> Option<String> {
    None
}

/// The first name with the id in lines of `name:password:id:…`.
#[cfg(unix)]
fn name_of(users: &str, id: &str) -> Option<String> {
    let mut fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.find(|fields| fields.get(2) == Some(&id)).map(|fields| fields[0].to_owned()).filter(|name| !name.is_empty())
}

#[cfg(all(test, unix))]
mod tests {
    #[test]
    fn a_user_id_has_its_name_in_etc_passwd() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nme:x:1000:1000::/home/me:/bin/sh\n";
        assert_eq!(super::name_of(users, "1000").as_deref(), Some("me"));
        assert_eq!(super::name_of(users, "7"), None);
    }
}
