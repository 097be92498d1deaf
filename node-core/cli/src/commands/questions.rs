//! `planetary questions`: what waits for the person, and its answers.
//!
//! On a terminal each question is asked in turn; that is when the service is told that somebody is
//! there to answer. Elsewhere they are listed, or told a line each as they come.

use std::collections::BTreeSet;

use planetary_ipc::{
    Answer, CircleId, CircleRef, Client, ErrorCode, Event, Question, RequestError, Status, Subject,
    Topic, UnixTime, Updates,
};
use serde::Serialize;

use super::circle::circle_named;
use crate::args::{QuestionCommand, QuestionsArgs};
use crate::ask;
use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style};
use crate::session::Session;

/// What `planetary questions --json` prints.
#[derive(Serialize)]
struct Waiting {
    time: UnixTime,
    questions: Vec<Question>,
}

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    args: QuestionsArgs,
) -> Result<(), Failure> {
    if let Some(QuestionCommand::Answer { question, answer, circle }) = args.command {
        let client = session.client().await?;
        let circle = match circle {
            Some(text) => Some(circle_named(&client, &text).await?.id),
            None => None,
        };
        return answer_one(&client, printer, question, answer.into(), circle).await;
    }
    let (client, updates) = session.connect().await?;
    let is_asked = ask::is_somebody_there() && format::on_screen() && !printer.is_json();
    match (args.watch, is_asked) {
        (false, false) => list(&client, printer),
        (false, true) => ask_all(&client).await,
        (true, false) => tell_each(&client, updates, printer).await,
        (true, true) => ask_each(&client, updates).await,
    }
}

async fn answer_one(
    client: &Client,
    printer: &Printer,
    number: u64,
    answer: Answer,
    circle: Option<CircleId>,
) -> Result<(), Failure> {
    let asked = client.hello().status.questions.iter().find(|asked| asked.id == number).cloned();
    let after = client.answer_question(number, answer, circle).await?;
    Ok(printer.print(&*after, |_, _| match &asked {
        Some(asked) => settled(asked, answer, circle),
        None => "Answered.\n".to_owned(),
    })?)
}

fn list(client: &Client, printer: &Printer) -> Result<(), Failure> {
    let Status { time, questions, .. } = &*client.hello().status;
    let waiting = Waiting { time: *time, questions: questions.clone() };
    Ok(printer.print(&waiting, render)?)
}

fn render(waiting: &Waiting, style: Style) -> String {
    if waiting.questions.is_empty() {
        return nothing();
    }
    let heading = [
        ("QUESTION", Align::Right),
        ("WHAT", Align::Left),
        ("LEFT", Align::Left),
        ("ANSWERS", Align::Left),
    ];
    let row = |asked: &Question| {
        [
            asked.id.to_string(),
            format::question(asked),
            format::duration(asked.until.0.saturating_sub(waiting.time.0)),
            answers(asked).to_owned(),
        ]
    };
    let rows: Vec<_> = waiting.questions.iter().map(row).collect();
    let table = format::table(heading, &rows, style);
    format!("{table}\nAnswer with: planetary questions answer QUESTION ANSWER\n")
}

fn nothing() -> String {
    "Nothing is asked. `planetary questions --watch` waits for questions.\n".to_owned()
}

fn answers(asked: &Question) -> &'static str {
    match &asked.subject {
        Subject::Knock { circles, .. } if circles.is_empty() => "once, always, no",
        Subject::Knock { .. } => "once, always, circle, no",
        Subject::Guest { .. } => "yes, no",
    }
}

async fn ask_all(client: &Client) -> Result<(), Failure> {
    client.subscribe(vec![Topic::Questions]).await?;
    let questions = client.hello().status.questions.clone();
    if questions.is_empty() {
        return Ok(format::write_out(&nothing())?);
    }
    for asked in questions {
        if !ask_person(client, &asked).await? {
            break;
        }
    }
    Ok(())
}

/// Asks each question as it comes, until the input ends.
async fn ask_each(client: &Client, mut updates: Updates) -> Result<(), Failure> {
    client.subscribe(vec![Topic::Questions]).await?;
    eprintln!("Waiting for questions; Ctrl-C ends it.");
    let mut status = client.hello().status.clone();
    let mut seen = BTreeSet::new();
    loop {
        for asked in status.questions.iter().filter(|asked| !seen.contains(&asked.id)) {
            if !ask_person(client, asked).await? {
                return Ok(());
            }
        }
        seen = status.questions.iter().map(|asked| asked.id).collect();
        status = next_status(&mut updates).await?;
    }
}

async fn tell_each(
    client: &Client,
    mut updates: Updates,
    printer: &Printer,
) -> Result<(), Failure> {
    // Whoever reads the lines can answer them.
    client.subscribe(vec![Topic::Questions]).await?;
    let mut status = client.hello().status.clone();
    let mut seen = BTreeSet::new();
    loop {
        for asked in status.questions.iter().filter(|asked| !seen.contains(&asked.id)) {
            match printer.is_json() {
                true => printer.json_line(asked)?,
                false => {
                    let (what, answers) = (format::question(asked), answers(asked));
                    format::write_out(&format!("{} {what}: {answers}\n", asked.id))?;
                }
            }
        }
        seen = status.questions.iter().map(|asked| asked.id).collect();
        status = next_status(&mut updates).await?;
    }
}

async fn next_status(updates: &mut Updates) -> Result<Box<Status>, Failure> {
    loop {
        if let Event::Status(status) = updates.next().await?.event {
            return Ok(status);
        }
    }
}

/// Asks until there is an answer that fits; `false` at the end of the input.
async fn ask_person(client: &Client, asked: &Question) -> Result<bool, Failure> {
    let choices = match &asked.subject {
        Subject::Knock { circles, .. } if circles.is_empty() => "[o]nce, [a]lways, [N]o",
        Subject::Knock { .. } => "[o]nce, [a]lways, [c]ircle, [N]o",
        Subject::Guest { .. } => "[y]es, [N]o",
    };
    loop {
        let prompt = format!("{}. {choices}: ", format::question(asked));
        let Some(typed) = ask::line(&prompt).await? else { return Ok(false) };
        let Some(answer) = read_answer(&asked.subject, &typed) else { continue };
        let circle = match (&asked.subject, answer) {
            (Subject::Knock { circles, .. }, Answer::Circle) => match choose(circles).await? {
                Some(circle) => Some(circle),
                None => continue,
            },
            _ => None,
        };
        match client.answer_question(asked.id, answer, circle).await {
            Ok(_) => format::write_out(&settled(asked, answer, circle))?,
            Err(error) if error.code() == Some(ErrorCode::QuestionNotFound) => {
                format::write_out("That came too late: the question was over.\n")?;
            }
            Err(RequestError::Refused(error)) => {
                let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                eprintln!("{}{hint}", format::plain(&error.message));
            }
            Err(error) => return Err(error.into()),
        }
        return Ok(true);
    }
}

/// The answer that was typed, in whole or by its first letter; nothing is a no.
fn read_answer(subject: &Subject, typed: &str) -> Option<Answer> {
    let is_guest = matches!(subject, Subject::Guest { .. });
    match typed.to_ascii_lowercase().as_str() {
        "" | "n" | "no" => Some(Answer::No),
        "y" | "yes" if is_guest => Some(Answer::Yes),
        "o" | "once" if !is_guest => Some(Answer::Once),
        "a" | "always" if !is_guest => Some(Answer::Always),
        "c" | "circle" => match subject {
            Subject::Knock { circles, .. } if !circles.is_empty() => Some(Answer::Circle),
            _ => None,
        },
        _ => None,
    }
}

/// The circle that `circle` means, asked for where there are several.
async fn choose(circles: &[CircleRef]) -> Result<Option<CircleId>, Failure> {
    if let [only] = circles {
        return Ok(Some(only.id));
    }
    let names = format::names(circles);
    let typed = ask::line(&format!("Which circle, {names}? ")).await?.unwrap_or_default();
    let is_meant = |circle: &&CircleRef| circle.name.folded() == typed.to_lowercase();
    Ok(circles.iter().find(is_meant).map(|circle| circle.id))
}

/// What holds after an answer.
fn settled(asked: &Question, answer: Answer, circle: Option<CircleId>) -> String {
    match &asked.subject {
        Subject::Knock { who, circles, service } => {
            let (who, service) = (format::party(who), format::known_service(service));
            match answer {
                Answer::Once => format!("{who} may open {service} within the next minute.\n"),
                Answer::Always => format!("{who} may reach {service} from here on.\n"),
                Answer::Circle => {
                    let is_meant = |known: &&CircleRef| circle.is_none_or(|id| id == known.id);
                    let meant: Vec<_> = circles.iter().filter(is_meant).cloned().collect();
                    let circle = format::names(&meant);
                    format!("All members of {circle} may reach {service} from here on.\n")
                }
                Answer::No | Answer::Yes => {
                    format!("{who} may not reach {service}; you are not asked again for a day.\n")
                }
            }
        }
        Subject::Guest { who, circle, .. } => {
            let (who, circle) = (format::party(who), format::plain(circle.name.as_str()));
            match answer {
                Answer::Yes => format!("{who} is let into {circle}, once its person agrees.\n"),
                _ => format!("{who} is not let into {circle}.\n"),
            }
        }
    }
}
