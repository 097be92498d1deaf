//! Safe writes under failure at every step, death at every step, power cuts, and a real `SIGKILL`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::*;

const OLD: &[u8] = b"the old content";
const NEW: &[u8] = b"the new content, which is longer";

/// What happens at the step whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// The step fails; those after it work.
    Fails,
    /// The process is killed: neither this step nor any after it happens.
    Killed,
    /// The process is killed in the middle of the step: half a write.
    KilledHalfway,
}

/// The real file system, with one fault at step `at`.
struct Faulty {
    at: usize,
    fault: Fault,
    step: Cell<usize>,
}

impl Faulty {
    fn new(at: usize, fault: Fault) -> Self {
        Self { at, fault, step: Cell::new(0) }
    }

    fn pass(&self) -> io::Result<()> {
        let step = self.step.replace(self.step.get() + 1);
        let hit = match self.fault {
            Fault::Fails => step == self.at,
            Fault::Killed | Fault::KilledHalfway => step >= self.at,
        };
        if hit { Err(io::Error::other("injected")) } else { Ok(()) }
    }
}

impl Disk for Faulty {
    type File = fs::File;

    fn create(&self, path: &Path, mode: u32) -> io::Result<fs::File> {
        self.pass().and_then(|()| OsDisk.create(path, mode))
    }
    fn write(&self, file: &mut fs::File, bytes: &[u8]) -> io::Result<()> {
        let halfway = self.fault == Fault::KilledHalfway && self.step.get() == self.at;
        if halfway {
            OsDisk.write(file, &bytes[..bytes.len() / 2])?;
        }
        self.pass().and_then(|()| OsDisk.write(file, bytes))
    }
    fn sync(&self, file: &mut fs::File) -> io::Result<()> {
        self.pass().and_then(|()| OsDisk.sync(file))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass().and_then(|()| OsDisk.rename(from, to))
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass().and_then(|()| OsDisk.link(from, to))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.pass().and_then(|()| OsDisk.remove(path))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.pass().and_then(|()| OsDisk.sync_dir(path))
    }
}

/// More steps than a write has; the last rounds run without a fault.
const STEPS_MAX: usize = 10;

#[test]
fn replace_leaves_old_or_new_whatever_step_fails() {
    for fault in [Fault::Fails, Fault::Killed, Fault::KilledHalfway] {
        for at in 0..STEPS_MAX {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            fs::write(&path, OLD).unwrap();
            let outcome = replace(&Faulty::new(at, fault), &path, NEW, PRIVATE);
            let found = fs::read(&path).unwrap();
            assert!(found == OLD || found == NEW, "{fault:?} at {at}: {found:?}");
            if outcome.is_ok() {
                assert_eq!(found, NEW, "{fault:?} at {at}");
            }
            // The next process cleans up and succeeds.
            remove_leftovers(dir.path());
            replace(&OsDisk, &path, NEW, PRIVATE).unwrap();
            assert_eq!(fs::read(&path).unwrap(), NEW);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }
}

#[test]
fn create_leaves_nothing_or_the_whole_and_never_replaces() {
    for fault in [Fault::Fails, Fault::Killed, Fault::KilledHalfway] {
        for at in 0..STEPS_MAX {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            let outcome = create(&Faulty::new(at, fault), &path, NEW, PRIVATE);
            let found = fs::read(&path).ok();
            assert!(found.is_none() || found.as_deref() == Some(NEW), "{fault:?} at {at}");
            if outcome.is_ok() {
                assert!(found.is_some(), "{fault:?} at {at}");
            }
            fs::write(&path, OLD).unwrap();
            let error = create(&OsDisk, &path, NEW, PRIVATE).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&path).unwrap(), OLD);
        }
    }
}

/// A model of a disk on which nothing is safe before it is synced.
///
/// Content that was not synced may be lost after a power cut whether or not the name survived;
/// names that were not synced may be the old or the new ones, in any combination.
#[derive(Default)]
struct Model {
    files: RefCell<Vec<ModelFile>>,
    /// Names as the running system sees them.
    names: RefCell<BTreeMap<PathBuf, usize>>,
    /// Names as they are on the disk.
    durable: RefCell<BTreeMap<PathBuf, usize>>,
    /// Steps until the power cut.
    left: Cell<usize>,
}

#[derive(Clone, Default)]
struct ModelFile {
    content: Vec<u8>,
    synced: bool,
}

impl Model {
    fn with_old(path: &Path, steps: usize) -> Self {
        let model = Self { left: Cell::new(steps), ..Self::default() };
        model.files.borrow_mut().push(ModelFile { content: OLD.to_vec(), synced: true });
        model.names.borrow_mut().insert(path.to_owned(), 0);
        model.durable.borrow_mut().insert(path.to_owned(), 0);
        model
    }

    fn step(&self) -> io::Result<()> {
        let left = self.left.get().checked_sub(1).ok_or(io::Error::other("power cut"))?;
        self.left.set(left);
        Ok(())
    }

    /// Everything that `path` may hold after a power cut at this moment.
    fn possible(&self, path: &Path) -> Vec<Option<Vec<u8>>> {
        let candidates =
            [self.durable.borrow().get(path).copied(), self.names.borrow().get(path).copied()];
        let mut possible = Vec::new();
        for file in candidates {
            match file.map(|index| self.files.borrow()[index].clone()) {
                None => possible.push(None),
                Some(file) if file.synced => possible.push(Some(file.content)),
                Some(file) => {
                    possible.push(Some(Vec::new()));
                    possible.push(Some(file.content));
                }
            }
        }
        possible
    }
}

impl Disk for Model {
    type File = usize;

    fn create(&self, path: &Path, _: u32) -> io::Result<usize> {
        self.step()?;
        let mut files = self.files.borrow_mut();
        files.push(ModelFile::default());
        self.names.borrow_mut().insert(path.to_owned(), files.len() - 1);
        Ok(files.len() - 1)
    }
    fn write(&self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        let mut files = self.files.borrow_mut();
        files[*file].content.extend_from_slice(bytes);
        files[*file].synced = false;
        Ok(())
    }
    fn sync(&self, file: &mut usize) -> io::Result<()> {
        self.step()?;
        self.files.borrow_mut()[*file].synced = true;
        Ok(())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        let mut names = self.names.borrow_mut();
        let file = names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.to_owned(), file);
        Ok(())
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        let mut names = self.names.borrow_mut();
        if names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = *names.get(from).ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.to_owned(), file);
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.names.borrow_mut().remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.step()?;
        *self.durable.borrow_mut() = self.names.borrow().clone();
        Ok(())
    }
}

#[test]
fn power_cut_at_any_step_leaves_old_or_new() {
    let path = Path::new("/state/file");
    let mut survived = false;
    for steps in 0..STEPS_MAX {
        let model = Model::with_old(path, steps);
        let outcome = replace(&model, path, NEW, PRIVATE);
        for found in model.possible(path) {
            let found = found.unwrap_or_default();
            assert!(found == OLD || found == NEW, "cut after {steps} steps: {found:?}");
            if outcome.is_ok() {
                assert_eq!(found, NEW, "cut after {steps} steps");
                survived = true;
            }
        }
    }
    assert!(survived, "the last rounds have no power cut");
}

#[test]
fn power_cut_while_creating_leaves_nothing_or_the_whole() {
    let path = Path::new("/state/file");
    for steps in 0..STEPS_MAX {
        let model = Model { left: Cell::new(steps), ..Model::default() };
        let outcome = create(&model, path, NEW, PRIVATE);
        for found in model.possible(path) {
            assert!(found.is_none() || found.as_deref() == Some(NEW), "cut after {steps} steps");
            assert!(outcome.is_err() || found.is_some(), "cut after {steps} steps");
        }
    }
}

#[cfg(unix)]
#[test]
fn mode_is_set_and_leftovers_of_a_killed_process_are_no_obstacle() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(temporary_for(&path).unwrap(), "half").unwrap();
    for mode in [0o600, 0o644, 0o660] {
        replace(&OsDisk, &path, NEW, mode).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
    }
}

/// Runs this test binary again as a process that writes numbers until it is killed, many times
/// over.
#[cfg(unix)]
#[test]
fn killed_process_leaves_a_whole_record_not_older_than_it_confirmed() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::super::record::{Sequence, load};

    let this_test = "state::atomic::tests::writer_until_killed";
    let dir = tempfile::tempdir().unwrap();
    for round in 0..12 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args([this_test, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(WRITER_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut confirmed = 0;
        // A different number of confirmed writes each round, then death at whatever it is doing.
        while confirmed < 3 + round * 7 {
            let line = lines.next().unwrap().unwrap();
            confirmed =
                line.trim().strip_prefix(CONFIRMED).map_or(confirmed, |n| n.parse().unwrap());
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        let state = super::super::StateDir::open(dir.path()).unwrap();
        let loaded = load::<Sequence>(&state, 0).unwrap();
        assert!(loaded.damage.is_none(), "round {round}");
        assert!(loaded.record.highest >= confirmed, "round {round}");
    }
}

/// The same with the friends of a person, a thousand times: whatever the writer was doing, a later
/// start finds every friend that was confirmed, and no file in the way.
#[cfg(unix)]
#[test]
fn thousand_kills_while_friends_are_written_lose_nothing() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::super::StateDir;
    use super::super::friends::FriendsKeeper;

    let this_test = "state::atomic::tests::writer_of_friends_until_killed";
    let dir = tempfile::tempdir().unwrap();
    let (mut confirmed, mut random) = (0, 0x2545_f491_4f6c_dd1d_u64);
    for round in 0..KILLS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args([this_test, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(WRITER_DIR, dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut number = |line: String| {
            let number = line.trim().strip_prefix(CONFIRMED).and_then(|n| n.parse::<usize>().ok());
            confirmed = number.unwrap_or(confirmed);
            number.is_some()
        };
        // It is writing once it has confirmed a write; death comes at a random moment after that.
        while !number(lines.next().unwrap().unwrap()) {}
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let until = Instant::now() + Duration::from_micros(random % 3_000);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            number(line);
        }
        let state = StateDir::open(dir.path()).unwrap();
        let (keeper, damage) = FriendsKeeper::load(&state, 0).unwrap();
        assert!(damage.is_none(), "round {round}");
        let found = keeper.friends().friends().len();
        assert!(found >= confirmed.min(FRIENDS), "round {round}: {found} of {confirmed}");
        assert!(fs::read_dir(dir.path()).unwrap().count() <= 2, "round {round}");
    }
}

/// Rounds of the test above.
#[cfg(unix)]
const KILLS: usize = 1_000;

/// Friends in the file when it has grown to its size; after that they change.
#[cfg(unix)]
const FRIENDS: usize = 60;

#[cfg(unix)]
#[test]
#[ignore = "the process that the test above kills"]
fn writer_of_friends_until_killed() {
    use planetary_ipc::{FriendChange, NodeKey};

    use super::super::StateDir;
    use super::super::friends::{Friend, FriendsKeeper};
    let Ok(dir) = std::env::var(WRITER_DIR) else { return };
    let state = StateDir::open(Path::new(&dir)).unwrap();
    let (mut keeper, _) = FriendsKeeper::load(&state, 0).unwrap();
    for turn in 0.. {
        let mut friends = keeper.friends().clone();
        let count = friends.friends().len();
        if count < FRIENDS {
            let name = format!("friend {count}").parse().unwrap();
            friends.add(NodeKey([count as u8; 32]), Friend::new(name, 0)).unwrap();
        } else {
            let notes = Some("x".repeat(turn % 1_000));
            let key = NodeKey([(turn % FRIENDS) as u8; 32]);
            friends.change(&key, FriendChange { notes, ..FriendChange::default() }).unwrap();
        }
        let count = friends.friends().len();
        keeper.store(friends).unwrap();
        println!("{CONFIRMED}{count}");
    }
}

const WRITER_DIR: &str = "PLANETARY_TEST_WRITER_DIR";
const CONFIRMED: &str = "stored ";

#[test]
#[ignore = "the process that the test above kills"]
fn writer_until_killed() {
    use super::super::record::{Sequence, store_with};
    let Ok(dir) = std::env::var(WRITER_DIR) else { return };
    let path = Path::new(&dir).join("sequence.json");
    for highest in 1.. {
        let record = Sequence { highest, ..Sequence::default() };
        store_with(&OsDisk, &path, record).unwrap();
        println!("{CONFIRMED}{highest}");
    }
}

/// The former identity and the new one, and whatever is left of both.
mod identity_replaced {
    use planetary_proto::identity::Identity;

    use super::super::super::identity::{self, replace_on};
    use super::*;

    const NAME: &str = "identity.pem";

    fn pair() -> [Identity; 2] {
        [Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32])]
    }

    /// Asserts that the node has one of the two, and that `former` is not lost.
    fn check(dir: &Path, former: &Identity, new: &Identity, what: &str) {
        let path = dir.join(NAME);
        let (is_former, is_new) = (identity::holds(&path, former), identity::holds(&path, new));
        assert!(is_former || is_new, "{what}: no identity");
        assert!(is_former || identity::kept(&path, former).is_some(), "{what}: the key is lost");
    }

    #[test]
    fn whatever_step_fails_the_node_has_an_identity_and_loses_none() {
        // Making the copy and replacing the file take a dozen steps.
        for fault in [Fault::Fails, Fault::Killed, Fault::KilledHalfway] {
            for at in 0..20 {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join(NAME);
                let [former, new] = pair();
                fs::write(&path, identity::to_text(&former).as_bytes()).unwrap();
                let outcome = replace_on(&Faulty::new(at, fault), &path, &former, &new, 0);
                let what = format!("{fault:?} at {at}");
                check(dir.path(), &former, &new, &what);
                if outcome.is_ok() {
                    assert!(identity::holds(&path, &new), "{what}");
                }
                // The next try succeeds.
                remove_leftovers(dir.path());
                if identity::holds(&path, &former) {
                    replace_on(&OsDisk, &path, &former, &new, 0).unwrap();
                }
                check(dir.path(), &former, &new, &what);
                assert!(identity::holds(&path, &new), "{what}");
            }
        }
    }

    #[test]
    fn power_cut_at_any_step_leaves_the_former_key_somewhere() {
        let path = Path::new("/state/identity.pem");
        let [former, new] = pair();
        let kept = Path::new("/state/identity.pem.replaced-7");
        for steps in 0..20 {
            let model = Model::with_old(path, steps);
            let _ = replace_on(&model, path, &former, &new, 7);
            let is = |found: &Option<Vec<u8>>, identity: &Identity| {
                found.as_deref() == Some(identity::to_text(identity).as_bytes())
            };
            // What the model calls old stands for the file of the former identity.
            let replaced = model.possible(path).iter().any(|found| is(found, &new));
            let copies = model.possible(kept);
            assert!(!replaced || copies.iter().all(|found| is(found, &former)), "after {steps}");
            for found in model.possible(path) {
                assert!(found.as_deref() == Some(OLD) || is(&found, &new), "after {steps}");
            }
        }
    }

    /// A thousand real kills, each at another moment of a process that does nothing but become the
    /// one and the other.
    #[cfg(unix)]
    #[test]
    fn thousand_kills_lose_nothing() {
        use std::process::{Command, Stdio};
        use std::time::Duration;

        let this_test = "state::atomic::tests::identity_replaced::changer_until_killed";
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let [one, other] = pair();
        fs::write(&path, identity::to_text(&one).as_bytes()).unwrap();
        // How often a kill hit the middle of a write, so that the test proves something.
        let mut halfway = 0_usize;
        for round in 0..KILLS {
            let mut changer = Command::new(std::env::current_exe().unwrap())
                .args([this_test, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
                .env(WRITER_DIR, dir.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut said = io::BufReader::new(changer.stdout.take().unwrap());
            let mut line = String::new();
            while !line.contains(CONFIRMED) {
                line.clear();
                let len = io::BufRead::read_line(&mut said, &mut line).unwrap();
                assert!(len > 0, "round {round}: the process ended by itself");
            }
            // A change takes about a tenth of a millisecond on a disk in memory.
            std::thread::sleep(Duration::from_micros((round % 97) as u64 * 7));
            changer.kill().unwrap();
            changer.wait().unwrap();
            let (is_one, is_other) = (identity::holds(&path, &one), identity::holds(&path, &other));
            assert!(is_one || is_other, "round {round}: no identity");
            assert!(is_one || identity::kept(&path, &one).is_some(), "round {round}: lost");
            assert!(is_other || identity::kept(&path, &other).is_some(), "round {round}: lost");
            let names =
                || fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
            halfway += usize::from(names().any(|name| name.to_string_lossy().starts_with('.')));
            remove_leftovers(dir.path());
            assert!(names().count() <= 3, "round {round}: {:?}", names().collect::<Vec<_>>());
        }
        assert!(halfway > KILLS / 20, "only {halfway} of {KILLS} kills hit a write");
    }

    #[test]
    #[ignore = "the process that the test above kills"]
    fn changer_until_killed() {
        let Ok(dir) = std::env::var(WRITER_DIR) else { return };
        let path = Path::new(&dir).join(NAME);
        let [one, other] = pair();
        for round in 0_u64.. {
            let (former, new) =
                if identity::holds(&path, &one) { (&one, &other) } else { (&other, &one) };
            replace_on(&OsDisk, &path, former, new, round).unwrap();
            if round == 1 {
                // Both keys have a copy from here on.
                println!("{CONFIRMED}{round}");
            }
        }
    }
}
