//! `cargo xtask bench`: ours and the reference in alternation, on the test grounds.

use anyhow::Result;

use crate::programs;
use crate::setup::{self, Part};
use crate::step;

/// Builds the programs and measures them; the options are those of the benchmark itself.
pub(crate) fn run(options: &[String]) -> Result<()> {
    setup::ensure(&[Part::Lab])?;
    let build = ["build", "--release", "-p", "planetary-lab"];
    step::openly("build the benchmark", &mut step::cargo(build))?;
    let folder = step::target_dir().join("release");
    let mut command = std::process::Command::new(programs::program(&folder, "planetary-lab"));
    command.arg("--out").arg(step::target_dir().join("bench")).args(options);
    // With a stand-in the grounds are tried out before there is anything of ours to measure.
    if std::env::var_os("PLANETARY_LAB_STAND_IN").is_none() {
        command.env("PLANETARY_PROGRAMS", programs::build()?);
    }
    step::openly("benchmark", &mut command)
}

/// Times the parts of the data path alone.
pub(crate) fn micro() -> Result<()> {
    let mut command = step::cargo(["bench", "-p", "planetary-bench", "--benches"]);
    step::openly("time parts alone", &mut command)
}
