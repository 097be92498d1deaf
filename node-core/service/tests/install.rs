//! A real installation, in namespaces of its own.

#![cfg(target_os = "linux")]

use std::process::Command;

#[test]
#[ignore = "needs root"]
fn service_is_installed_runs_with_one_capability_and_leaves_nothing() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install.sh");
    let output = Command::new("unshare")
        .args(["--mount", "--net", "--propagation", "private", "bash", script])
        .arg(env!("CARGO_BIN_EXE_planetaryd"))
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{words}{}", String::from_utf8_lossy(&output.stderr));
    assert!(words.ends_with("all as it should be\n"), "{words}");
}
