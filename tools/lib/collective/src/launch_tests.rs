//! What the variables of each launcher mean.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn detect(variables: &[(&str, &str)]) -> Result<Option<Launch>> {
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Launch::of(&Variables(&find))
}

fn tcp(host: &str, port: u16) -> Rendezvous {
    Rendezvous::Tcp { host: host.into(), port }
}

const TORCHRUN: [(&str, &str); 5] = [
    ("RANK", "1"),
    ("WORLD_SIZE", "4"),
    ("LOCAL_WORLD_SIZE", "2"),
    ("MASTER_ADDR", "10.0.0.1"),
    ("MASTER_PORT", "29500"),
];

#[test]
fn torchrun() {
    let launch = detect(&TORCHRUN).unwrap().unwrap();
    assert_eq!(launch, Launch { rank: 1, size: 4, local_size: Some(2), rendezvous: tcp("10.0.0.1", 29500) });
    let agent = [&TORCHRUN[..], &[("TORCHELASTIC_USE_AGENT_STORE", "True")]].concat();
    assert_eq!(detect(&agent).unwrap().unwrap().rendezvous, tcp("10.0.0.1", 29501));
}

#[test]
fn one_rank_is_no_job() {
    assert_eq!(detect(&[]).unwrap(), None);
    assert_eq!(detect(&[("RANK", "3")]).unwrap(), None);
    assert_eq!(detect(&[("RANK", "0"), ("WORLD_SIZE", "1")]).unwrap(), None);
    assert_eq!(detect(&[("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "1")]).unwrap(), None);
    assert_eq!(detect(&[("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "1")]).unwrap(), None);
    // A batch script, in which nothing was started by srun.
    assert_eq!(detect(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]).unwrap(), None);
}

#[test]
fn srun() {
    let step = [
        ("SLURM_PROCID", "3"),
        ("SLURM_STEP_NUM_TASKS", "8"),
        ("SLURM_STEP_TASKS_PER_NODE", "4(x2)"),
        ("SLURM_STEP_NODELIST", "node[02-03]"),
        ("SLURM_JOB_ID", "7"),
        ("SLURM_STEP_ID", "0"),
    ];
    let launch = detect(&step).unwrap().unwrap();
    assert_eq!((launch.rank, launch.size, launch.local_size), (3, 8, Some(4)));
    assert_eq!(launch.rendezvous, tcp("node02", 16_391));
    let one_node = [&step[..], &[("SLURM_STEP_NUM_NODES", "1")]].concat();
    assert_eq!(detect(&one_node).unwrap().unwrap().rendezvous, tcp("127.0.0.1", 16_391));
    let given = [&step[..], &[("MASTER_ADDR", "10.0.0.9"), ("MASTER_PORT", "5000")]].concat();
    assert_eq!(detect(&given).unwrap().unwrap().rendezvous, tcp("10.0.0.9", 5000));
}

#[test]
fn mpirun_uses_tcp_where_it_is_told_to() {
    let ranks = [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "2"), ("OMPI_COMM_WORLD_LOCAL_SIZE", "2")];
    let given = [&ranks[..], &[("MASTER_ADDR", "localhost"), ("MASTER_PORT", "5000")]].concat();
    let launch = detect(&given).unwrap().unwrap();
    assert_eq!(launch, Launch { rank: 1, size: 2, local_size: Some(2), rendezvous: tcp("localhost", 5000) });
    #[cfg(not(feature = "mpi"))]
    assert!(matches!(detect(&ranks), Err(Error::WithoutMpi { size: 2 })));
    #[cfg(feature = "mpi")]
    assert_eq!(detect(&ranks).unwrap().unwrap().rendezvous, Rendezvous::Mpi);
}

#[test]
fn what_does_not_fit_is_named() {
    let with = |name: &'static str, value: &'static str| {
        let others = TORCHRUN.iter().filter(|(known, _)| *known != name).copied();
        let all: Vec<_> = others.chain((!value.is_empty()).then_some((name, value))).collect();
        detect(&all).unwrap_err().to_string()
    };
    assert_eq!(with("RANK", "4"), "RANK=4: expected a rank below WORLD_SIZE=4");
    assert_eq!(with("RANK", "-1"), "RANK=-1: not a number in range");
    assert_eq!(with("RANK", ""), "WORLD_SIZE is set and RANK is not; a launcher sets both");
    assert_eq!(with("WORLD_SIZE", "0"), "WORLD_SIZE=0: expected a number of ranks from 1 to 4096");
    assert_eq!(with("WORLD_SIZE", "99999"), "WORLD_SIZE=99999: expected a number of ranks from 1 to 4096");
    assert_eq!(with("MASTER_PORT", "70000"), "MASTER_PORT=70000: not a number in range");
    assert_eq!(with("MASTER_PORT", ""), "MASTER_ADDR is set and MASTER_PORT is not; a launcher sets both");
    let alone = [("RANK", "0"), ("WORLD_SIZE", "2")];
    let problem = detect(&alone).unwrap_err().to_string();
    assert_eq!(problem, "WORLD_SIZE is set and MASTER_ADDR is not; a launcher sets both");
}
