//! Installations below another root, and the lists of steps as an administrator reads them.

use super::*;

fn listing(dir: &Path) -> Vec<String> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, dir, &mut found);
    found.sort();
    found
}

fn staged(root: &Path) -> InstallArguments {
    InstallArguments { root: Some(root.to_owned()) }
}

fn unstaged(root: &Path, purge: bool) -> UninstallArguments {
    UninstallArguments { root: Some(root.to_owned()), purge }
}

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o7777
}

#[test]
fn install_below_a_root_writes_everything_and_twice_is_the_same() {
    let root = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        install(&staged(root.path()), &mut io::sink()).unwrap();
        assert_eq!(
            listing(root.path()),
            [
                "etc/planetary/config.toml",
                "etc/polkit-1/rules.d/planetary.rules",
                "etc/systemd/system/planetaryd.service",
                "usr/local/bin/planetaryd",
            ]
        );
    }
    let at = |path: &str| root.path().join(path);
    assert_eq!(mode(&at("etc/planetary")), 0o750);
    assert_eq!(mode(&at("etc/planetary/config.toml")), 0o600);
    assert_eq!(mode(&at("var/lib/planetary")), 0o700);
    assert_eq!(mode(&at("usr/local/bin/planetaryd")), 0o755);
    crate::config::Config::load(&at("etc/planetary/config.toml")).unwrap();
    // polkit reads it with an account of its own.
    assert_eq!(mode(&at("etc/polkit-1/rules.d/planetary.rules")), 0o644);
    let unit = fs::read_to_string(at("etc/systemd/system/planetaryd.service")).unwrap();
    assert!(unit.contains(
        "ExecStart=/usr/local/bin/planetaryd run --config /etc/planetary/config.toml \
         --state-dir /var/lib/planetary --control /run/planetary/control.sock\n"
    ));
    assert_eq!(planetary_ipc::endpoint::SYSTEM_PATH, "/run/planetary/control.sock");
}

#[test]
fn uninstall_keeps_key_and_configuration_and_purge_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    install(&staged(root.path()), &mut io::sink()).unwrap();
    let config = root.path().join("etc/planetary/config.toml");
    let key = root.path().join("var/lib/planetary/identity.pem");
    fs::write(&config, "peers = [] # mine\n").unwrap();
    fs::write(&key, "key").unwrap();

    let mut report = Vec::new();
    uninstall(&unstaged(root.path(), false), &mut report).unwrap();
    assert_eq!(
        listing(root.path()),
        ["etc/planetary/config.toml", "var/lib/planetary/identity.pem"]
    );
    assert!(String::from_utf8(report).unwrap().contains("Kept: /var/lib/planetary"));

    install(&staged(root.path()), &mut io::sink()).unwrap();
    assert_eq!(fs::read_to_string(&config).unwrap(), "peers = [] # mine\n");
    assert_eq!(fs::read_to_string(&key).unwrap(), "key");

    uninstall(&unstaged(root.path(), true), &mut io::sink()).unwrap();
    assert!(listing(root.path()).is_empty());
    uninstall(&unstaged(root.path(), true), &mut io::sink()).unwrap();
}

#[test]
fn packaged_program_is_neither_copied_nor_removed() {
    let steps = linux::installation(Path::new("/usr/bin/planetaryd"), false);
    assert!(!steps.iter().any(|step| matches!(step, Step::Program { .. })));
    let unit = steps.iter().find_map(|step| match step {
        Step::File { path, content, .. } if path.ends_with("planetaryd.service") => Some(content),
        _ => None,
    });
    assert!(unit.unwrap().contains("ExecStart=/usr/bin/planetaryd run "));
    let root = tempfile::tempdir().unwrap();
    let removes_program = linux::removal(Some(root.path()), true)
        .iter()
        .any(|step| matches!(step, Step::RemoveFile { path } if path.ends_with("bin/planetaryd")));
    assert!(!removes_program);
}

#[test]
fn step_that_fails_names_the_file_and_the_way_out() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("etc"), "in the way").unwrap();
    let error = install(&staged(root.path()), &mut io::sink()).unwrap_err().to_string();
    assert!(error.contains("etc/planetary"), "{error}");
    assert!(error.ends_with("remove what is in the way and run it again"), "{error}");
}

#[test]
fn failing_command_is_reported_with_its_last_words() {
    let arguments =
        ["-c".to_owned(), "echo first >&2; echo no such account >&2; exit 3".to_owned()];
    let error = run("sh", &arguments, Failure::Ends).unwrap_err().to_string();
    assert!(error.ends_with("failed: no such account (exit status: 3)"), "{error}");
    run("sh", &arguments, Failure::IsFine).unwrap();
    assert!(run("/nonexistent/tool", &[], Failure::Ends).is_err());
}

#[test]
fn every_path_stays_below_the_root() {
    let root = Path::new("/root-of-trial");
    for path in ["/etc/x", "etc/x", "/../../etc/x", "/./etc/x"] {
        assert_eq!(below(Some(root), Path::new(path)), Path::new("/root-of-trial/etc/x"), "{path}");
    }
    assert_eq!(below(None, Path::new("/etc/x")), Path::new("/etc/x"));
}
