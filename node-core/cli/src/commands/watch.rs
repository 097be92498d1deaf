//! `planetary watch`: the state as it changes.
//!
//! On a terminal the whole page is drawn again with every update, on the alternate screen, so that
//! the scroll-back is left alone; a service that goes away is waited for. Elsewhere each change is
//! a line (with `--json` each update), and the end of the service is the end of the command.

use std::io;
use std::time::Duration;

use planetary_ipc::{Event, RequestError, Status, Topic, Update, Updates};
use terminal_size::{Height, Width};
use tokio::time;

use super::status;
use crate::changes::changes;
use crate::failure::Failure;
use crate::format::{self, Printer, Style, Tone};
use crate::keys::Keys;
use crate::session::Session;

/// Time between two attempts to reach a service that went away.
const RETRY: Duration = Duration::from_secs(1);

pub(super) async fn run(session: &Session, printer: &Printer) -> Result<(), Failure> {
    let watching = async {
        match (printer.is_json(), format::on_screen()) {
            (true, _) => json_lines(session, printer).await,
            (false, true) => until_key(session, printer.style()).await,
            (false, false) => text_lines(session).await,
        }
    };
    tokio::select! {
        ended = watching => ended,
        () = interrupted() => Ok(()),
    }
}

async fn json_lines(session: &Session, printer: &Printer) -> Result<(), Failure> {
    let (client, mut updates) = session.connect().await?;
    client.subscribe(vec![Topic::Traffic, Topic::Topology]).await?;
    let hello = client.hello();
    printer.json_line(&Update { seq: hello.seq, event: Event::Status(hello.status.clone()) })?;
    loop {
        printer.json_line(&updates.next().await?)?;
    }
}

async fn text_lines(session: &Session) -> Result<(), Failure> {
    let (client, mut updates) = session.connect().await?;
    let mut current = client.hello().status.clone();
    print_changes(None, &current)?;
    loop {
        if let Event::Status(newer) = updates.next().await?.event {
            print_changes(Some(&current), &newer)?;
            current = newer;
        }
    }
}

fn print_changes(old: Option<&Status>, new: &Status) -> Result<(), Failure> {
    let time = format::timestamp(new.time);
    let lines = changes(old, new).into_iter().map(|line| format!("{time} {line}\n"));
    Ok(format::write_out(&lines.collect::<String>())?)
}

async fn until_key(session: &Session, style: Style) -> Result<(), Failure> {
    let mut keys = Keys::open();
    let end = if keys.is_some() { "q ends this view" } else { "Ctrl-C ends this view" };
    let pressed = async {
        match &mut keys {
            Some(keys) => keys.until(b'q').await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = live(session, end, style) => ended,
        () = pressed => Ok(()),
    }
}

async fn live(session: &Session, end: &str, style: Style) -> Result<(), Failure> {
    // The first time a missing service is an error: the person may have mistyped.
    let (client, mut updates) = session.connect().await?;
    let mut view = View { screen: Screen::open()?, end, style };
    let mut current = client.hello().status.clone();
    drop(client);
    loop {
        let lost = view.follow(&mut updates, &mut current).await?;
        loop {
            let why = format!("{lost}; trying again");
            view.draw(&current, Some(&why))?;
            time::sleep(RETRY).await;
            if let Ok((client, newer)) = session.try_connect().await {
                updates = newer;
                current = client.hello().status.clone();
                break;
            }
        }
    }
}

/// The page on the screen.
struct View<'a> {
    screen: Screen,
    /// How the person ends it.
    end: &'a str,
    style: Style,
}

impl View<'_> {
    /// Draws until the connection ends; gives the reason.
    async fn follow(
        &mut self,
        updates: &mut Updates,
        current: &mut Status,
    ) -> Result<RequestError, Failure> {
        if let Err(lost) = updates.client().subscribe(vec![Topic::Traffic]).await {
            return Ok(lost);
        }
        loop {
            self.draw(current, None)?;
            match updates.next().await {
                Ok(Update { event: Event::Status(newer), .. }) => *current = *newer,
                Ok(Update { event: Event::Traffic(traffic), .. }) => {
                    current.apply_traffic(&traffic);
                }
                Ok(_) => {}
                Err(lost) => return Ok(lost),
            }
        }
    }

    fn draw(&mut self, status: &Status, trouble: Option<&str>) -> io::Result<()> {
        let (columns, rows) = size();
        let last = match trouble {
            Some(trouble) => self.style.paint(Tone::Bad, trouble),
            None => self.style.paint(Tone::Muted, self.end),
        };
        // The last line stays even where there is room for little else.
        let room = rows.saturating_sub(2);
        let page = status::fitting(status, room, self.style);
        self.screen.draw(page.lines().take(room).chain(["", &last]), columns)
    }
}

/// The alternate screen of the terminal, for as long as this lives.
struct Screen;

impl Screen {
    fn open() -> io::Result<Self> {
        format::write_out("\x1b[?1049h\x1b[?25l")?;
        Ok(Self)
    }

    /// Replaces what is shown: from the top, each line cut to the width and cleared to its end.
    fn draw<'a>(&mut self, lines: impl Iterator<Item = &'a str>, columns: usize) -> io::Result<()> {
        let mut text = String::from("\x1b[H");
        for (index, line) in lines.enumerate() {
            if index > 0 {
                text.push_str("\r\n");
            }
            text += &clipped(line, columns);
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        format::write_out(&text)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If the terminal is gone there is nothing to restore.
        let _ = format::write_out("\x1b[?25h\x1b[?1049l");
    }
}

fn size() -> (usize, usize) {
    let (Width(columns), Height(rows)) =
        terminal_size::terminal_size().unwrap_or((Width(80), Height(24)));
    (usize::from(columns), usize::from(rows))
}

/// The line cut to so many characters, the last one telling that more would follow. Colour codes
/// take no room and are kept whole.
fn clipped(line: &str, columns: usize) -> String {
    let mut text = String::with_capacity(line.len());
    let mut left = width(line);
    let mut room = columns;
    let mut in_code = false;
    for letter in line.chars() {
        if in_code || letter == '\x1b' {
            in_code = letter != 'm';
            text.push(letter);
        } else if room > 0 {
            text.push(if room == 1 && left > 1 { '…' } else { letter });
            room -= 1;
            left -= 1;
        }
    }
    text
}

/// Characters of a line, without colour codes.
fn width(line: &str) -> usize {
    let mut in_code = false;
    let is_shown = |letter: &char| {
        let is_code = in_code || *letter == '\x1b';
        in_code = is_code && *letter != 'm';
        !is_code
    };
    line.chars().filter(is_shown).count()
}

/// Waits until the person or the system wants an end.
#[cfg(unix)]
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::quit(),
    ];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup), Ok(mut quit)] = kinds.map(signal)
    else {
        // Without handlers the signals do what they always do.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        _ = quit.recv() => {}
    }
}

/// Waits until the person wants an end.
#[cfg(not(unix))]
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_counts_letters_and_keeps_colours_whole() {
        assert_eq!(clipped("\x1b[32mgreen\x1b[0m rest", 4), "\x1b[32mgre…\x1b[0m");
        assert_eq!(clipped("\x1b[32mgreen\x1b[0m", 5), "\x1b[32mgreen\x1b[0m");
        assert_eq!(clipped("äöü", 2), "ä…");
        assert_eq!(clipped("short", 80), "short");
    }
}
