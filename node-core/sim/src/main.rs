//! Runs a simulated network and reports how it did.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use planetary_sim::{
    scenario::{Plan, Scenario, run},
    topology::Topology,
};

/// Runs many nodes in virtual time, checks the rules of the protocol, and reports convergence,
/// stretch and cost. The same arguments give the same run.
#[derive(Parser)]
#[command(name = "planetary-sim", version)]
struct Arguments {
    /// How many nodes
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    nodes: u32,
    /// Where all randomness comes from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the nodes are wired
    #[arg(long, value_enum, default_value_t = Topology::Random)]
    topology: Topology,
    /// Neighbours of a node on average, for random and scale-free networks
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    degree: u32,
    /// What happens to the network once it has settled
    #[arg(long, value_enum, default_value_t = Scenario::Settle)]
    scenario: Scenario,
    /// Minutes of virtual time that the network is watched at rest; for churn, how long it lasts
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    minutes: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plan = Plan {
        // At most 100,000, and 1,000.
        nodes: arguments.nodes as usize,
        degree: arguments.degree as usize,
        seed: arguments.seed,
        topology: arguments.topology,
        scenario: arguments.scenario,
        minutes: arguments.minutes,
    };
    let text = match run(plan) {
        Ok(report) if arguments.json => serde_json::to_string_pretty(&report).unwrap_or_default(),
        Ok(report) => report.to_string(),
        Err(failure) => {
            // Nobody left to tell when even this fails.
            let _ = writeln!(io::stderr(), "failed {failure}");
            return ExitCode::FAILURE;
        }
    };
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
