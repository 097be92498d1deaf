use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use super::*;

/// A package of programs that are heads of Mach-O files and nothing else.
struct Trial {
    folder: tempfile::TempDir,
}

impl Trial {
    fn new() -> Self {
        let trial = Self { folder: tempfile::tempdir().unwrap() };
        for (machine, kind) in MACHINES.iter().zip([0x0100_000c_u32, 0x0100_0007]) {
            let folder = trial.at("programs").join(machine.name);
            fs::create_dir_all(&folder).unwrap();
            for name in NODE {
                let head = [0xfeed_facf, kind, 0].map(u32::to_le_bytes).concat();
                fs::write(folder.join(name), head).unwrap();
            }
        }
        fs::create_dir_all(trial.at("out")).unwrap();
        trial
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn build(&self) -> Build {
        Build {
            version: "1.2.3".into(),
            epoch: 1_700_000_000,
            out: self.at("out"),
            programs: Some(self.at("programs")),
        }
    }

    /// Puts a program of this name on the search path of scripts; it notes how it is called, in
    /// `calls`, and does what `body` says.
    fn tool(&self, name: &str, body: &str) {
        let text =
            format!("#!/bin/sh\necho \"{name} $*\" >> '{}'\n{body}\n", self.at("calls").display());
        put_executable(&self.at("tools").join(name), &text);
    }

    fn run(&self, script: &Path, arguments: &[&str]) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.at("tools").display());
        let mut command = Command::new("sh");
        command.arg(script).args(arguments).env_clear().env("PATH", path);
        command.env("PLANETARY_ROOT", self.at("mac")).stdin(std::process::Stdio::null());
        command.output().unwrap()
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.at("calls")).unwrap_or_default()
    }
}

fn put_executable(path: &Path, text: &str) {
    make_parent(path).unwrap();
    fs::write(path, text).unwrap();
    set_mode(path, true).unwrap();
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

#[test]
fn archive_holds_programs_for_both_processors_and_comes_out_alike() {
    let trial = Trial::new();
    let made = build(&trial.build()).unwrap();
    let [archive] = made.as_slice() else { panic!("{made:?}") };
    let first = fs::read(archive).unwrap();
    build(&trial.build()).unwrap();
    assert_eq!(first, fs::read(archive).unwrap());
    let list = Command::new("tar").arg("-tvzf").arg(archive).output().unwrap();
    let list = words(&list);
    for name in ["planetaryd", "planetary", "LICENSE", "README.txt"] {
        let line = list.lines().find(|line| line.ends_with(&format!("universal/{name}")));
        let runs = NODE.contains(&name);
        assert_eq!(line.unwrap().starts_with("-rwxr-xr-x"), runs, "{list}");
    }
    let root = trial.at("out/macos/root");
    let program = fs::read(root.join("usr/local/bin/planetaryd")).unwrap();
    assert_eq!(program[..8], [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2]);
    let mode = fs::metadata(root.join("usr/local/bin/planetary-uninstall")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o755);
}

#[test]
fn bundle_says_what_the_system_asks_of_it() {
    let trial = Trial::new();
    build(&trial.build()).unwrap();
    let stage = trial.at("out/macos");
    // The one reader of this format that is everywhere.
    let read =
        "import plistlib, sys, json; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let list = |path: PathBuf| -> serde_json::Value {
        let output = Command::new("python3").args(["-c", read]).arg(path).output().unwrap();
        assert!(output.status.success(), "{}", words(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let info = list(stage.join("root").join(BUNDLE).join("Info.plist"));
    let tauri = step::workspace_root().join("src-tauri/tauri.conf.json");
    let tauri: serde_json::Value = serde_json::from_slice(&fs::read(tauri).unwrap()).unwrap();
    assert_eq!(info["CFBundleIdentifier"], tauri["identifier"]);
    assert_eq!(info["CFBundleName"], tauri["productName"]);
    assert_eq!(info["CFBundleExecutable"], tauri["mainBinaryName"]);
    let schemes = &tauri["plugins"]["deep-link"]["desktop"]["schemes"];
    assert_eq!(info["CFBundleURLTypes"][0]["CFBundleURLSchemes"], *schemes);
    assert_eq!(info["CFBundleShortVersionString"], "1.2.3");
    assert_eq!(info["LSMinimumSystemVersion"], OLDEST);
    let icon = info["CFBundleIconFile"].as_str().unwrap();
    assert!(stage.join("root").join(BUNDLE).join("Resources").join(icon).is_file());
    let components = list(stage.join("components.plist"));
    let bundle = components[0]["RootRelativeBundlePath"].as_str().unwrap();
    assert!(stage.join("root").join(bundle).is_dir());
    assert_eq!(components[0]["BundleIsRelocatable"], false);
}

#[test]
fn going_back_to_an_older_version_is_refused() {
    let trial = Trial::new();
    build(&trial.build()).unwrap();
    let script = trial.at("out/macos/scripts/preinstall");
    trial.tool("osascript", "");
    for (installed, goes) in
        [("1.2.2", true), ("1.2.3", true), ("1.10.0", false), ("1.2.4", false), ("2.0.0", false)]
    {
        trial.tool("pkgutil", &format!("echo 'version: {installed}'"));
        let output = trial.run(&script, &[]);
        assert_eq!(output.status.success(), goes, "{installed}: {}", words(&output));
        assert_eq!(words(&output).contains("planetary-uninstall"), !goes);
    }
    trial.tool("pkgutil", "exit 1");
    assert!(trial.run(&script, &[]).status.success(), "nothing is installed");
}

#[test]
fn installation_starts_the_service_and_lets_the_person_steer_it() {
    let trial = Trial::new();
    build(&trial.build()).unwrap();
    let script = trial.at("out/macos/scripts/postinstall");
    let bin = trial.at("mac/usr/local/bin");
    let calls = trial.at("calls");
    let note = format!("#!/bin/sh\necho \"planetaryd $*\" >> '{}'\n", calls.display());
    put_executable(&bin.join("planetaryd"), &note);
    let pages = "#!/bin/sh\nmkdir -p \"$2/man\" \"$2/completions\"\n\
                 touch \"$2/man/planetary.1\" \"$2/completions/_planetary\"\n";
    put_executable(&bin.join("planetary"), pages);
    trial.tool("dseditgroup", "");
    for (person, joins) in [("ada", true), ("root", false), ("_mbsetupuser", false), ("", false)] {
        let _ = fs::remove_file(&calls);
        trial.tool("stat", &format!("echo {person}"));
        let output = trial.run(&script, &[]);
        assert!(output.status.success(), "{}", words(&output));
        assert!(trial.calls().contains("planetaryd install\n"));
        let joined = trial.calls().contains("dseditgroup -o edit -a ada -t user planetary");
        assert_eq!(joined, joins, "{}", trial.calls());
    }
    let share = trial.at("mac/usr/local/share");
    assert!(share.join("man/man1/planetary.1").is_file());
    assert!(share.join("zsh/site-functions/_planetary").is_file());
    // A service that cannot be installed is no installation.
    put_executable(&bin.join("planetaryd"), "#!/bin/sh\nexit 1\n");
    assert!(!trial.run(&script, &[]).status.success());
}

#[test]
fn removal_leaves_nothing_but_the_identity_unless_told() {
    for (wish, words_of_service) in [
        (&[][..], "planetaryd uninstall\n"),
        (&["--keep-identity"], "planetaryd uninstall\n"),
        (&["--purge"], "planetaryd uninstall --purge\n"),
    ] {
        let trial = Trial::new();
        build(&trial.build()).unwrap();
        let mac = trial.at("mac");
        let copy = Command::new("cp").arg("-R").arg(trial.at("out/macos/root")).arg(&mac).status();
        assert!(copy.unwrap().success());
        let note =
            format!("#!/bin/sh\necho \"planetaryd $*\" >> '{}'\n", trial.at("calls").display());
        put_executable(&mac.join("usr/local/bin/planetaryd"), &note);
        let app = "Library/Application Support/net.planetary.PlanetaryNetwork/app.json";
        for left in [
            "usr/local/share/man/man1/planetary.1",
            "usr/local/share/zsh/site-functions/_planetary",
            "Users/ada/Library/LaunchAgents/Planetary Network.plist",
            &format!("Users/ada/{app}"),
            "usr/local/bin/other",
        ] {
            put_executable(&mac.join(left), "");
        }
        trial.tool("osascript", "");
        trial.tool("pkgutil", "");
        let script = mac.join("usr/local/bin/planetary-uninstall");
        let output = trial.run(&script, wish);
        assert!(output.status.success(), "{}", words(&output));
        assert!(trial.calls().contains(words_of_service), "{}", trial.calls());
        assert!(trial.calls().contains("pkgutil --forget net.planetary.PlanetaryNetwork"));
        let files = archive::below(&mac).unwrap().into_iter().filter(|path| path.is_file());
        let files: Vec<PathBuf> =
            files.map(|path| path.strip_prefix(&mac).unwrap().to_path_buf()).collect();
        let mut expected = vec![PathBuf::from("usr/local/bin/other")];
        if wish != ["--purge"] {
            expected.insert(0, PathBuf::from("Users/ada").join(app));
        }
        assert_eq!(files, expected);
    }
}

#[test]
fn removal_understands_its_words_only() {
    let trial = Trial::new();
    build(&trial.build()).unwrap();
    let script = trial.at("out/macos/root/usr/local/bin/planetary-uninstall");
    let output = trial.run(&script, &["--everything"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(trial.run(&script, &["--help"]).status.success());
    assert!(script.is_file());
}

#[test]
fn installer_is_signed_from_within_and_notarised_where_there_is_an_identity() {
    let trial = Trial::new();
    build(&trial.build()).unwrap();
    let stage = trial.at("out/macos");
    for tool in ["codesign", "pkgbuild", "productbuild", "xcrun", "spctl"] {
        trial.tool(tool, "");
    }
    let (script, stage_text) = (stage.join("make.sh"), stage.display().to_string());
    let arguments = [stage_text.as_str(), "1.2.3", "/out.pkg"];
    assert!(!trial.run(&script, &arguments).status.success(), "no app is staged");
    put_executable(&stage.join("root").join(BUNDLE).join("MacOS").join(APP), "");
    let output = trial.run(&script, &arguments);
    assert!(output.status.success() && words(&output).contains("not notarised"));
    let calls = trial.calls();
    let order = ["--sign - ", "/planetaryd", "Network.app", "pkgbuild", "productbuild"];
    let mut rest = calls.as_str();
    for next in order {
        rest = rest.split_once(next).unwrap_or_else(|| panic!("{next} is not in {calls}")).1;
    }
    assert!(!calls.contains("xcrun"));
    fs::remove_file(trial.at("calls")).unwrap();
    let mut command = Command::new("sh");
    command.arg(&script).args(arguments).env_clear();
    command.env("PATH", format!("{}:/usr/bin:/bin", trial.at("tools").display()));
    command.env("PLANETARY_APPLE_PROFILE", "ours");
    assert!(!command.output().unwrap().status.success(), "unsigned things are not notarised");
    command.env("PLANETARY_APPLE_APPLICATION", "App").env("PLANETARY_APPLE_INSTALLER", "Pkg");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    let calls = trial.calls();
    for call in [
        "codesign --force --options runtime --timestamp --sign App",
        "--sign Pkg --timestamp /out.pkg",
        "xcrun notarytool submit /out.pkg --keychain-profile ours --wait",
        "xcrun stapler staple /out.pkg",
    ] {
        assert!(calls.contains(call), "{call}: {calls}");
    }
}
