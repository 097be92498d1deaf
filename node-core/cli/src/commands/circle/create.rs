//! `planetary circle create`: a circle, and its key on paper.
//!
//! The key is made here, shown once as words, and forgotten. On a terminal one of the words is
//! asked back before the circle exists, because a paper with nothing on it helps nobody.

use std::io::{self, Write};

use planetary_ipc::recovery::{RecoveryError, RecoveryKey, WORD_COUNT};
use planetary_ipc::{CircleDetails, CircleDraft, Client, FriendName, NodeKey};
use serde::Serialize;
use zeroize::Zeroizing;

use super::name;
use crate::ask;
use crate::failure::Failure;
use crate::format::{self, Printer};

/// How often the word is asked for.
const TRIES: usize = 3;

/// What `planetary circle create --json` prints.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    details: CircleDetails,
    recovery_key: Option<PaperKey>,
}

/// A key on paper.
#[derive(Serialize)]
struct PaperKey {
    key: NodeKey,
    words: Vec<&'static str>,
}

pub(super) async fn run(
    client: &Client,
    printer: &Printer,
    name: FriendName,
    no_recovery: bool,
) -> Result<(), Failure> {
    if no_recovery {
        let details = *client.create_circle(name).await?;
        let created = Created { details, recovery_key: None };
        return Ok(printer.print(&created, |created, _| words_about(created))?);
    }
    let paper = RecoveryKey::generate().map_err(|error| unusable(&error))?;
    let draft = CircleDraft::Create { name: name.clone(), recovery: paper.key() };
    let operation = client.draft_circle(draft).await?;
    let operation = paper.sign(&operation).map_err(|error| unusable(&error))?;
    let is_asked = ask::is_somebody_there() && !printer.is_json();
    if is_asked {
        show(&paper, &name)?;
        ask_back(&paper).await?;
    }
    let details = *client.submit_circle(operation).await?;
    let words = paper.words().to_vec();
    let created = Created { details, recovery_key: Some(PaperKey { key: paper.key(), words }) };
    Ok(printer.print(&created, |created, _| {
        let mut text = words_about(created);
        if !is_asked {
            text += &format!("\n{}", about(&name));
            text += &numbered(&paper.words());
        }
        text
    })?)
}

fn unusable(error: &RecoveryError) -> Failure {
    Failure::Here {
        code: "invalid_words",
        message: format!("no key on paper can be made: {error}"),
        hint: Some("`--no-recovery` makes the circle without one".to_owned()),
    }
}

fn show(paper: &RecoveryKey, name: &FriendName) -> io::Result<()> {
    let text = Zeroizing::new(format!("{}{}\n", about(name), *numbered(&paper.words())));
    io::stderr().write_all(text.as_bytes())
}

fn about(name: &FriendName) -> String {
    format!(
        "These words are the key on paper of {}. It stands above everybody: it brings you back\n\
         in when no computer of an admin is left, and removes whoever must go. Write them down\n\
         and keep them where nobody else finds them; they are not shown again.\n\n",
        format::plain(name.as_str())
    )
}

/// The words in four columns, each with its number.
fn numbered(words: &[&str; WORD_COUNT]) -> Zeroizing<String> {
    const ROWS: usize = WORD_COUNT / 4;
    // Room for all of it, so that no piece stays behind in memory.
    let mut text = Zeroizing::new(String::with_capacity(WORD_COUNT * 16));
    for row in 0..ROWS {
        for index in (row..WORD_COUNT).step_by(ROWS) {
            let last = index + ROWS >= WORD_COUNT;
            let word = words[index];
            // The longest word has eight letters.
            let cell = match last {
                false => Zeroizing::new(format!("  {:>2} {word:<9}", index + 1)),
                true => Zeroizing::new(format!("  {:>2} {word}\n", index + 1)),
            };
            text.push_str(&cell);
        }
    }
    text
}

async fn ask_back(paper: &RecoveryKey) -> Result<(), Failure> {
    // Which one is as little known beforehand as the key is.
    let index = usize::from(paper.key().0[0]) % WORD_COUNT;
    let prompt = format!("To be sure, type word {}: ", index + 1);
    for _ in 0..TRIES {
        let Some(typed) = ask::line(&prompt).await?.map(Zeroizing::new) else { break };
        if typed.eq_ignore_ascii_case(paper.words()[index]) {
            return Ok(());
        }
    }
    Err(Failure::Here {
        code: "not_confirmed",
        message: "no circle was made: the word was another one".to_owned(),
        hint: Some("begin again; the words will be others".to_owned()),
    })
}

fn words_about(created: &Created) -> String {
    let circle = &created.details.circle;
    let typed = format::quoted(circle.name.as_str());
    format!(
        "Began the circle {}. Its members may ping this computer and reach nothing else here.\n\
         Invite somebody with: planetary invite create {typed}\n",
        name(circle)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_in_columns_each_with_its_number() {
        let key = RecoveryKey::from_words(planetary_ipc::mock::PAPER).unwrap();
        let text = numbered(&key.words());
        assert_eq!(text.lines().count(), 6);
        assert_eq!(
            text.lines().next(),
            Some("   1 legal       7 worth      13 wave       19 thank")
        );
        assert!(text.lines().all(|line| line.len() < 72), "{}", *text);
        assert_eq!(RecoveryKey::from_words(&across(&text)).unwrap().key(), key.key());
    }

    /// The words of the columns, one column after the other.
    fn across(text: &str) -> String {
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        let cell = |column: usize, row: &Vec<&str>| {
            format!("{} {} ", row[2 * column], row[2 * column + 1])
        };
        (0..4).flat_map(|column| rows.iter().map(move |row| cell(column, row))).collect()
    }
}
