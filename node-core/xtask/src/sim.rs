//! `cargo xtask sim`: a network of many nodes in virtual time. One seed is one run, exactly.

use anyhow::Result;

use crate::step;

/// Runs the simulator.
pub(crate) fn run(nodes: u32, seed: u64) -> Result<()> {
    let mut command = step::cargo(["run", "--release", "--quiet", "-p", "planetary-sim", "--"]);
    command.args(["--nodes", &nodes.to_string(), "--seed", &seed.to_string()]);
    step::openly(&format!("simulation of {nodes} nodes, seed {seed}"), &mut command)
}
