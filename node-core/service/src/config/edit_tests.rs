//! Edits as a person sees them: the text before, the text after.

use proptest::prelude::*;

use super::*;

const A: &str = "tcp://192.0.2.1:1";
const B: &str = "tls://b.example:2?password=secret&priority=3";
const C: &str = "tcp://[2001:db8::3]:3";

struct Scene {
    #[cfg_attr(not(unix), expect(dead_code, reason = "kept for as long as the file in it"))]
    dir: tempfile::TempDir,
    file: ConfigFile,
}

impl Scene {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        fs::write(&path, text).unwrap();
        Self { dir, file: ConfigFile::new(path) }
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file.path()).unwrap()
    }
}

fn added(before: &str, uri: &str) -> String {
    let scene = Scene::new(before);
    scene.file.add_peer(uri, None).unwrap();
    scene.text()
}

fn removed(before: &str, uri: &str) -> String {
    let scene = Scene::new(before);
    scene.file.remove_peer(uri, None).unwrap();
    scene.text()
}

#[test]
fn adds_to_an_empty_list_and_to_a_list_on_one_line() {
    assert_eq!(added("peers = []\n", A), format!("peers = [\"{A}\"]\n"));
    assert_eq!(
        added(&format!("peers = [\"{A}\"] # mine\n"), C),
        format!("peers = [\"{A}\", \"{C}\"] # mine\n")
    );
    assert_eq!(
        added(&format!("peers = [ \"{A}\" ]\n"), C),
        format!("peers = [ \"{A}\", \"{C}\" ]\n")
    );
}

#[test]
fn adds_where_there_is_no_list() {
    assert_eq!(
        added("# my node\n[tun]\nname = \"none\"\n", A),
        format!("peers = [\"{A}\"]\n# my node\n[tun]\nname = \"none\"\n")
    );
}

#[test]
fn adds_a_line_to_a_list_of_lines_and_keeps_comments_in_place() {
    let before = format!(
        "peers = [\n  \"{A}\", # near\n  # far away\n  \"{C}\", # slow\n  # more to come\n]\n"
    );
    let after = format!(
        "peers = [\n  \"{A}\", # near\n  # far away\n  \"{C}\", # slow\n  # more to come\n  \
         \"{B}\",\n]\n"
    );
    assert_eq!(added(&before, B), after);
    let before = format!("peers = [\n\t\"{A}\" # near\n]\n");
    assert_eq!(added(&before, C), format!("peers = [\n\t\"{A}\", # near\n\t\"{C}\",\n]\n"));
    assert_eq!(added("peers = [\n]\n", A), format!("peers = [\n    \"{A}\",\n]\n"));
}

#[test]
fn removes_an_entry_with_the_comment_on_its_line_only() {
    let before = format!(
        "peers = [\n  \"{A}\", # near\n  # far away\n  \"{B}\", # slow\n  \"{C}\", # last\n]\n"
    );
    assert_eq!(
        removed(&before, A),
        format!("peers = [\n  # far away\n  \"{B}\", # slow\n  \"{C}\", # last\n]\n")
    );
    assert_eq!(
        removed(&before, "tls://b.example:2"),
        format!("peers = [\n  \"{A}\", # near\n  # far away\n  \"{C}\", # last\n]\n")
    );
    assert_eq!(
        removed(&before, C),
        format!("peers = [\n  \"{A}\", # near\n  # far away\n  \"{B}\", # slow\n]\n")
    );
}

#[test]
fn removes_from_a_list_on_one_line() {
    let before = format!("peers = [\"{A}\", \"{B}\", \"{C}\"]\n");
    assert_eq!(removed(&before, A), format!("peers = [\"{B}\", \"{C}\"]\n"));
    assert_eq!(removed(&before, B), format!("peers = [\"{A}\", \"{C}\"]\n"));
    assert_eq!(removed(&before, C), format!("peers = [\"{A}\", \"{B}\"]\n"));
    assert_eq!(removed(&format!("peers = [\"{A}\"]\n"), A), "peers = []\n");
}

#[test]
fn interface_peers_have_lists_of_their_own() {
    let scene = Scene::new("peers = []\n\n[interface_peers]\n# the cable\neth0 = []\n");
    scene.file.add_peer(A, Some("eth0")).unwrap();
    let config = scene.file.add_peer(B, Some("vlan.7")).unwrap();
    assert_eq!(
        scene.text(),
        format!(
            "peers = []\n\n[interface_peers]\n# the cable\neth0 = [\"{A}\"]\n\"vlan.7\" = \
             [\"{B}\"]\n"
        )
    );
    assert_eq!(config.interface_peers.len(), 2);
    scene.file.remove_peer(A, Some("eth0")).unwrap();
    assert!(matches!(scene.file.remove_peer(A, Some("eth0")), Err(EditError::NotFound(_))));
    assert!(matches!(scene.file.remove_peer(B, None), Err(EditError::NotFound(_))));
    assert!(matches!(scene.file.add_peer(A, Some("a/b")), Err(EditError::Interface(_))));
}

#[test]
fn same_link_with_other_options_is_refused_and_nothing_is_written() {
    let text = format!("peers = [\"{B}\"]\n");
    let scene = Scene::new(&text);
    let error = scene.file.add_peer("tls://B.example:2?priority=9", None).err().unwrap();
    assert_eq!(error.to_string(), "tls://b.example:2 is configured already");
    assert_eq!(scene.text(), text);
}

#[test]
fn full_list_is_told_as_such() {
    let peers: Vec<_> = (0..PEERS_MAX).map(|port| format!("\"tcp://h:{}\"", port + 1)).collect();
    let scene = Scene::new(&format!("[interface_peers]\neth0 = [{}]\n", peers.join(", ")));
    assert!(matches!(scene.file.add_peer(A, None), Err(EditError::Full)));
}

#[test]
fn wrong_file_is_not_touched() {
    let text = "peers = [\n";
    let scene = Scene::new(text);
    assert!(matches!(scene.file.add_peer(A, None), Err(EditError::Wrong(_))));
    assert_eq!(scene.text(), text);
}

#[test]
fn first_edit_makes_the_default_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = ConfigFile::new(dir.path().join("new/config.toml"));
    let config = file.add_peer(A, None).unwrap();
    assert_eq!(config.peers.len(), 1);
    let text = fs::read_to_string(file.path()).unwrap();
    assert_eq!(text, default_file().replace("\npeers = []", &format!("\npeers = [\"{A}\"]")));
}

#[cfg(unix)]
#[test]
fn mode_and_links_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let scene = Scene::new("peers = []\n");
    fs::set_permissions(scene.file.path(), fs::Permissions::from_mode(0o640)).unwrap();
    let link = scene.dir.path().join("link.toml");
    symlink(scene.file.path(), &link).unwrap();
    ConfigFile::new(link.clone()).add_peer(A, None).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(scene.file.path()).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(scene.text().contains(A));
}

proptest! {
    /// Whatever the layout, an addition followed by the removal of what was added gives the same
    /// peers, and no comment is lost.
    #[test]
    fn adding_and_removing_keeps_peers_and_comments(
        layout in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 0..5),
        comma in any::<bool>(),
        tail in any::<bool>(),
    ) {
        let mut text = String::from("# head\npeers = [");
        let count = layout.len();
        for (index, (line, above, beside)) in layout.into_iter().enumerate() {
            if above {
                text.push_str(&format!(" # above {index}\n"));
            }
            text.push_str(if line { "\n    " } else { " " });
            text.push_str(&format!("\"tcp://10.0.0.{index}:1\""));
            if index + 1 < count || comma {
                text.push(',');
            }
            if beside {
                text.push_str(&format!(" # beside {index}\n"));
            }
        }
        if tail {
            text.push_str("\n    # tail\n");
        }
        text.push_str("]\n");

        let scene = Scene::new(&text);
        let with = scene.file.add_peer(B, None).unwrap();
        prop_assert_eq!(with.peers.len(), count + 1);
        let comments = |text: &str| text.matches('#').count();
        prop_assert_eq!(comments(&scene.text()), comments(&text), "{}", scene.text());
        let without = scene.file.remove_peer(B, None).unwrap();
        prop_assert_eq!(without.peers.len(), count);
        prop_assert_eq!(comments(&scene.text()), comments(&text), "{}", scene.text());
        for index in 0..count {
            scene.file.remove_peer(&format!("tcp://10.0.0.{index}:1"), None).unwrap();
        }
    }
}

#[test]
fn a_file_that_went_away_is_not_made_anew() {
    let scene = Scene::new("listen = [\"tcp://127.0.0.1:1\"]\n");
    fs::remove_file(scene.file.path()).unwrap();
    let error = scene.file.add_peer(A, None).err().unwrap();
    assert!(matches!(error, EditError::Gone { .. }), "{error}");
    assert!(!scene.file.path().exists());
}

#[test]
fn file_that_never_was_means_the_defaults_and_one_that_is_gone_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = ConfigFile::new(dir.path().join("config.toml"));
    assert!(file.load().unwrap().peers.is_empty());
    fs::write(file.path(), format!("peers = [\"{A}\"]\n")).unwrap();
    assert_eq!(file.load().unwrap().peers.len(), 1);
    fs::remove_file(file.path()).unwrap();
    let error = file.load().err().unwrap();
    assert_eq!(error.trouble(), "is gone");
}

#[test]
fn trouble_with_the_file_is_called_what_it_is() {
    let scene = Scene::new("pers = []\n");
    let message = || scene.file.add_peer(A, None).err().unwrap().to_string();
    assert!(message().starts_with("the configuration file has a mistake: "), "{}", message());
    fs::remove_file(scene.file.path()).unwrap();
    fs::create_dir(scene.file.path()).unwrap();
    assert!(message().starts_with("the configuration file cannot be read: "), "{}", message());
}

#[test]
fn name_that_no_interface_has_is_refused_for_removal_too() {
    let scene = Scene::new("peers = []\n");
    for name in ["", "a/b"] {
        assert!(matches!(scene.file.add_peer(A, Some(name)), Err(EditError::Interface(_))));
        assert!(matches!(scene.file.remove_peer(A, Some(name)), Err(EditError::Interface(_))));
    }
}
