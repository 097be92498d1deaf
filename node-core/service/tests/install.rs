//! A real installation, in namespaces of its own, which only root can make.

#![cfg(target_os = "linux")]

use std::os::unix::fs::MetadataExt;
use std::process::Command;

#[test]
fn service_is_installed_runs_with_one_capability_and_leaves_nothing() {
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        assert!(std::env::var_os("CI").is_none(), "this test needs root");
        return eprintln!("not tested: this needs root");
    }
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
