//! What Slurm's variables say about a job step.

/// First of the ports that are derived from a job's number; below those that the kernel hands out.
const FIRST_PORT: u64 = 16_384;
/// How many there are.
const PORTS: u64 = 16_384;

/// The first host of a node list: `node[01-04,07],login` is `node01`.
pub fn first_host(list: &str) -> String {
    let Some((prefix, rest)) = list.split_once('[').filter(|(prefix, _)| !prefix.contains(',')) else {
        return list.split(',').next().unwrap_or_default().to_owned();
    };
    let (inside, after) = rest.split_once(']').unwrap_or((rest, ""));
    let number = inside.split([',', '-']).next().unwrap_or_default();
    // `rack[1-2]node[3-4]` has several brackets.
    let suffix = after.split(',').next().unwrap_or_default();
    let suffix = if suffix.is_empty() { String::new() } else { first_host(suffix) };
    format!("{prefix}{number}{suffix}")
}

/// A port for the steps of a job: all ranks derive the same, and other steps another.
pub fn port(job: u64, step: u64) -> u16 {
    // An odd number, so that steps of neighbouring jobs do not meet.
    const STEP: u64 = 97;
    (FIRST_PORT + job.wrapping_add(step.wrapping_mul(STEP)) % PORTS) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_host_of_a_list() {
        let cases = [
            ("node1", "node1"),
            ("node1,node2", "node1"),
            ("node[01-04,07],login", "node01"),
            ("login,node[1-2]", "login"),
            ("node[7]", "node7"),
            ("rack[1-2]node[3-4]", "rack1node3"),
            ("node[1-2]-ib,other", "node1-ib"),
            ("node[", "node"),
            ("", ""),
        ];
        for (list, host) in cases {
            assert_eq!(first_host(list), host, "{list}");
        }
    }

    #[test]
    fn ports_are_below_the_kernels() {
        assert_ne!(port(1, 0), port(1, 1));
        assert!((16_384..32_768).contains(&port(u64::MAX, u64::MAX)));
    }
}
