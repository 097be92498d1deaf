//! Asking the person for a secret: a passphrase, or the words of a key on paper.
//!
//! It is typed without being shown, at the terminal that standard input is, or comes from a file.
//! Where there is no terminal nobody is asked, and the failure says which option answers instead.
//! While somebody thinks, the connection to the service goes on being read: the waiting is on a
//! thread of its own.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use planetary_ipc::limits::{PASSPHRASE_CHARS_MIN, PASSPHRASE_LEN_MAX};
use planetary_ipc::recovery::{RecoveryError, RecoveryKey, WORD_COUNT};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::files;
use crate::keys::Unseen;

/// Longest file that is read as words, in bytes.
const WORDS_FILE_LEN_MAX: u64 = 4_096;

/// A passphrase for something new: typed twice, or from a file.
pub(crate) async fn choose(file: Option<PathBuf>) -> Result<Zeroizing<String>, Failure> {
    if let Some(file) = file {
        return from_file(&file);
    }
    let first = hidden(PASSPHRASE, "Passphrase for the backup: ".to_owned()).await?;
    let chars = first.chars().count();
    if chars < PASSPHRASE_CHARS_MIN {
        return Err(Failure::Here {
            code: "weak_passphrase",
            message: format!(
                "the passphrase has {chars} characters, and needs {PASSPHRASE_CHARS_MIN}"
            ),
            hint: Some("choose several words that belong to no sentence".to_owned()),
        });
    }
    let second = hidden(PASSPHRASE, "The same again: ".to_owned()).await?;
    if first != second {
        return Err(Failure::Here {
            code: "not_confirmed",
            message: "the two passphrases differ".to_owned(),
            hint: Some("try again".to_owned()),
        });
    }
    Ok(first)
}

/// The passphrase of something that is there: typed once, or from a file.
pub(crate) async fn recall(file: Option<PathBuf>) -> Result<Zeroizing<String>, Failure> {
    match file {
        Some(file) => from_file(&file),
        None => hidden(PASSPHRASE, "Passphrase of the backup: ".to_owned()).await,
    }
}

/// The key of words that are on paper: typed in one line or in several, or from a file.
///
/// # Errors
/// `invalid_words` for words that are no key, with the number of the one that is wrong.
pub(crate) async fn paper_key(file: Option<PathBuf>) -> Result<RecoveryKey, Failure> {
    let invalid = |error: RecoveryError| Failure::Here {
        code: "invalid_words",
        message: format!("these are not the words of a key: {error}"),
        hint: Some(format!(
            "compare them with the paper; all {WORD_COUNT} are needed, in their order"
        )),
    };
    if let Some(file) = file {
        let bytes = match file == Path::new("-") {
            true => files::read_to_end(io::stdin().lock(), WORDS_FILE_LEN_MAX)?,
            false => Some(files::read(&file, WORDS_FILE_LEN_MAX)?),
        };
        let text = bytes.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        return RecoveryKey::from_words(text.unwrap_or_default()).map_err(invalid);
    }
    let mut all = Zeroizing::new(String::with_capacity(WORDS_FILE_LEN_MAX as usize));
    // Lines that are pasted together come faster than they are asked for.
    let _unseen = Unseen::begin();
    let mut prompt = format!("The {WORD_COUNT} words, which are not shown: ");
    loop {
        let line = hidden(WORDS, prompt).await?;
        if all.len() + line.len() < all.capacity() {
            all.push_str(&line);
            all.push(' ');
        }
        match RecoveryKey::from_words(&all) {
            Err(RecoveryError::WordCount(count))
                if count < WORD_COUNT && !line.trim().is_empty() =>
            {
                prompt = format!("{count} words so far; the next: ");
            }
            read => return read.map_err(invalid),
        }
    }
}

/// Something secret that is asked for: what it is called, and the option that brings it otherwise.
#[derive(Clone, Copy)]
struct Secret {
    what: &'static str,
    option: &'static str,
}

const PASSPHRASE: Secret = Secret { what: "the passphrase", option: "--passphrase-file" };
const WORDS: Secret = Secret { what: "the words", option: "--words-file" };

async fn hidden(secret: Secret, prompt: String) -> Result<Zeroizing<String>, Failure> {
    if !io::stdin().is_terminal() {
        let Secret { what, option } = secret;
        return Err(Failure::Here {
            code: "usage",
            message: format!("there is no terminal to ask for {what}"),
            hint: Some(format!(
                "`{option} FILE` takes it from a file, `{option} -` from standard input"
            )),
        });
    }
    aside(move || rpassword::prompt_password_with_config(prompt, terminal()).map(Zeroizing::new))
        .await
}

/// The terminal that standard input is, rather than the one that controls the process: a person
/// types where the program listens.
fn terminal() -> rpassword::Config {
    let builder = rpassword::ConfigBuilder::new().output_writer(io::stderr());
    #[cfg(unix)]
    let builder = match std::fs::File::open(STDIN) {
        Ok(_) => builder.input_file_path(STDIN),
        // Somebody else's terminal, as after `su`.
        Err(_) => builder,
    };
    builder.build()
}

#[cfg(unix)]
const STDIN: &str = "/dev/stdin";

async fn aside<T: Send + 'static>(
    wait: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let answered = tokio::task::spawn_blocking(wait).await.map_err(io::Error::other);
    answered.and_then(|answer| answer).map_err(|error| Failure::Here {
        code: "not_confirmed",
        message: match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => {
                "nothing was changed: the question was not answered".to_owned()
            }
            _ => format!("nothing was changed: the terminal cannot be read: {error}"),
        },
        hint: None,
    })
}

/// The only line of a file, or of standard input.
fn from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let len_max = u64::try_from(PASSPHRASE_LEN_MAX + 2).unwrap_or(u64::MAX);
    let bytes = if path == Path::new("-") {
        let read = files::read_to_end(io::stdin().lock(), len_max)?;
        read.ok_or_else(|| not_one_line(path))?
    } else {
        files::read(path, len_max)?
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| not_one_line(path))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.contains(['\n', '\r', '\0']) {
        return Err(not_one_line(path));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

fn not_one_line(path: &Path) -> Failure {
    let hint = format!("it holds the passphrase alone, at most {PASSPHRASE_LEN_MAX} bytes");
    files::failure(path, "not one line of text", &hint)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn passphrase_file_has_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        for (text, passphrase) in [
            ("correct horse", Some("correct horse")),
            ("correct horse\n", Some("correct horse")),
            (" correct horse \r\n", Some(" correct horse ")),
            ("", None),
            ("\n", None),
            ("one\ntwo\n", None),
        ] {
            fs::write(&path, text).unwrap();
            let read = from_file(&path).ok();
            assert_eq!(read.as_ref().map(|text| text.as_str()), passphrase, "{text:?}");
        }
        fs::write(&path, "x".repeat(2000)).unwrap();
        assert!(from_file(&path).is_err());
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(from_file(&path).is_err());
    }
}
