//! Which rank of which job a process is: the variables that launchers set.

use crate::{Error, Result, slurm};
use std::{env, fmt::Display, str::FromStr};

/// A typing error is likelier than a larger job, and each rank holds a connection to every other.
const MAX_RANKS: usize = 4096;

/// A process among the ranks of its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// This process, from 0.
    pub rank: usize,
    /// How many ranks there are.
    pub size: usize,
    /// Ranks on this machine, where the launcher says so.
    pub local_size: Option<usize>,
    /// How the ranks find each other.
    pub rendezvous: Rendezvous,
}

/// How the ranks of a job find each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendezvous {
    /// Rank 0 listens here.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// The MPI library knows.
    #[cfg(feature = "mpi")]
    Mpi,
}

impl Launch {
    /// What the environment says; None without a launcher, or where it has started one rank only.
    ///
    /// # Errors
    /// When variables are missing or do not fit together.
    pub fn detect() -> Result<Option<Self>> {
        Self::of(&Variables(&|name| env::var(name).ok().filter(|value| !value.is_empty())))
    }

    fn of(variables: &Variables<'_>) -> Result<Option<Self>> {
        let found = match variables.torch()? {
            Some(launch) => Some(launch),
            None => match variables.open_mpi()? {
                Some(launch) => Some(launch),
                None => match variables.slurm()? {
                    Some(launch) => Some(launch),
                    None => variables.mpich()?,
                },
            },
        };
        Ok(found.filter(|launch| launch.size > 1))
    }
}

/// Reads variables by name.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

/// The variables of a rank, of the number of ranks, and of the number of those on this machine.
struct Names {
    rank: &'static str,
    size: &'static str,
    local_size: &'static str,
}

const TORCH: Names = Names { rank: "RANK", size: "WORLD_SIZE", local_size: "LOCAL_WORLD_SIZE" };
const OPEN_MPI: Names =
    Names { rank: "OMPI_COMM_WORLD_RANK", size: "OMPI_COMM_WORLD_SIZE", local_size: "OMPI_COMM_WORLD_LOCAL_SIZE" };
/// Those of a job step. `SLURM_NTASKS` is set in a batch script too, which is one process.
const SLURM: Names =
    Names { rank: "SLURM_PROCID", size: "SLURM_STEP_NUM_TASKS", local_size: "SLURM_STEP_TASKS_PER_NODE" };
const MPICH: Names = Names { rank: "PMI_RANK", size: "PMI_SIZE", local_size: "MPI_LOCALNRANKS" };

const HOST: &str = "MASTER_ADDR";
const PORT: &str = "MASTER_PORT";
/// Set by torchrun where its agent listens on `MASTER_PORT` itself.
const AGENT: &str = "TORCHELASTIC_USE_AGENT_STORE";

impl Variables<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }

    fn number<T: FromStr<Err: Display>>(&self, variable: &'static str) -> Result<Option<T>> {
        let Some(value) = self.text(variable) else { return Ok(None) };
        match value.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Error::Variable { variable, value, expected: "not a number in range".into() }),
        }
    }

    /// Rank and size, checked; None where neither is set.
    fn rank(&self, names: &Names) -> Result<Option<(usize, usize)>> {
        let missing = |given, missing| Err(Error::MissingVariable { given, missing });
        match (self.number::<usize>(names.rank)?, self.number::<usize>(names.size)?) {
            (None, None) => Ok(None),
            (Some(_), None) => missing(names.rank, names.size),
            (None, Some(_)) => missing(names.size, names.rank),
            (Some(_), Some(size)) if !(1..=MAX_RANKS).contains(&size) => {
                let expected = format!("expected a number of ranks from 1 to {MAX_RANKS}");
                Err(Error::Variable { variable: names.size, value: size.to_string(), expected })
            }
            (Some(rank), Some(size)) if rank >= size => {
                let expected = format!("expected a rank below {}={size}", names.size);
                Err(Error::Variable { variable: names.rank, value: rank.to_string(), expected })
            }
            (Some(rank), Some(size)) => Ok(Some((rank, size))),
        }
    }

    fn local_size(&self, names: &Names) -> Option<usize> {
        // Slurm's is a list for several nodes, 2(x3),1: the first node's serves.
        let text = self.text(names.local_size)?;
        text.split(['(', ',']).next()?.parse().ok().filter(|&local| local > 0)
    }

    /// `MASTER_ADDR` and `MASTER_PORT`; None where neither is set.
    fn master(&self) -> Result<Option<Rendezvous>> {
        match (self.text(HOST), self.number::<u16>(PORT)?) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(Error::MissingVariable { given: HOST, missing: PORT }),
            (None, Some(_)) => Err(Error::MissingVariable { given: PORT, missing: HOST }),
            (Some(host), Some(port)) => {
                let is_taken = self.text(AGENT).is_some_and(|value| value == "True");
                Ok(Some(Rendezvous::Tcp { host, port: if is_taken { port.saturating_add(1) } else { port } }))
            }
        }
    }

    /// `torchrun`, Kubernetes' PyTorchJob, or by hand. `RANK` alone is too common a name to mean anything.
    fn torch(&self) -> Result<Option<Launch>> {
        if self.text(TORCH.size).is_none() {
            return Ok(None);
        }
        let Some((rank, size)) = self.rank(&TORCH)? else { return Ok(None) };
        let rendezvous = match self.master()? {
            Some(rendezvous) => rendezvous,
            None if size == 1 => return Ok(None),
            None => return Err(Error::MissingVariable { given: TORCH.size, missing: HOST }),
        };
        Ok(Some(Launch { rank, size, local_size: self.local_size(&TORCH), rendezvous }))
    }

    fn open_mpi(&self) -> Result<Option<Launch>> {
        self.mpi(&OPEN_MPI)
    }

    fn mpich(&self) -> Result<Option<Launch>> {
        self.mpi(&MPICH)
    }

    /// `mpirun`: by MPI, or, in a build without it, by TCP.
    fn mpi(&self, names: &Names) -> Result<Option<Launch>> {
        let Some((rank, size)) = self.rank(names)? else { return Ok(None) };
        if size == 1 {
            return Ok(None);
        }
        let rendezvous = match self.master()? {
            Some(rendezvous) => rendezvous,
            #[cfg(feature = "mpi")]
            None => Rendezvous::Mpi,
            #[cfg(not(feature = "mpi"))]
            None => return Err(Error::WithoutMpi { size }),
        };
        Ok(Some(Launch { rank, size, local_size: self.local_size(names), rendezvous }))
    }

    /// `srun`: rank 0 is on the first host of the step.
    fn slurm(&self) -> Result<Option<Launch>> {
        if self.text(SLURM.size).is_none() {
            return Ok(None);
        }
        let Some((rank, size)) = self.rank(&SLURM)? else { return Ok(None) };
        // Node names need not be names of hosts; within a node, none is asked for.
        let is_one_node = self.number::<u64>("SLURM_STEP_NUM_NODES")? == Some(1);
        let first = || match is_one_node {
            true => Some("127.0.0.1".to_owned()),
            false => self.text("SLURM_STEP_NODELIST").map(|list| slurm::first_host(&list)),
        };
        let host = match self.text(HOST).or_else(first) {
            Some(host) => host,
            None if size == 1 => return Ok(None),
            None => return Err(Error::MissingVariable { given: SLURM.size, missing: HOST }),
        };
        let number = |variable| self.number::<u64>(variable).map(Option::unwrap_or_default);
        let port = match self.number::<u16>(PORT)? {
            Some(port) => port,
            None => slurm::port(number("SLURM_JOB_ID")?, number("SLURM_STEP_ID")?),
        };
        Ok(Some(Launch { rank, size, local_size: self.local_size(&SLURM), rendezvous: Rendezvous::Tcp { host, port } }))
    }
}

#[cfg(test)]
#[path = "launch_tests.rs"]
mod tests;
