//! `planetary watch`: the state as it changes.
//!
//! On a terminal the whole page is drawn again with every update and every change of its size, on
//! the alternate screen, so that the scroll-back is left alone; a service that goes away is waited
//! for. Elsewhere each change is a line (with `--json` each update), and the end of the service is
//! the end of the command.

mod page;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use planetary_ipc::{Event, RequestError, Status, Topic, Update, Updates};
use terminal_size::{Height, Width};
use tokio::time;

use self::page::{Size, Watched};
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
    let watched = Watched::new(client.hello().status.clone());
    let mut view = View { screen: Screen::open()?, resizes: Resizes::new(), watched, end, style };
    drop(client);
    loop {
        let lost = view.follow(&mut updates).await?;
        let lost = format::plain(&lost.to_string()).into_owned();
        let why = format!("{lost}; trying again");
        view.watched.note(lost);
        loop {
            view.draw_until(time::sleep(RETRY), Some(&why)).await?;
            if let Ok((client, newer)) = session.try_connect().await {
                updates = newer;
                view.watched.become_newer(client.hello().status.clone());
                break;
            }
        }
    }
}

/// The page on the screen.
struct View<'a> {
    screen: Screen,
    resizes: Resizes,
    watched: Watched,
    /// How the person ends it.
    end: &'a str,
    style: Style,
}

impl View<'_> {
    /// Draws until the connection ends; gives the reason.
    async fn follow(&mut self, updates: &mut Updates) -> Result<RequestError, Failure> {
        if let Err(lost) = updates.client().subscribe(vec![Topic::Traffic]).await {
            return Ok(lost);
        }
        loop {
            match self.draw_until(updates.next(), None).await? {
                Ok(Update { event: Event::Status(newer), .. }) => self.watched.become_newer(newer),
                Ok(Update { event: Event::Traffic(traffic), .. }) => self.watched.take(&traffic),
                Ok(_) => {}
                Err(lost) => return Ok(lost),
            }
        }
    }

    /// Draws the page, and again whenever the terminal changes its size, until something comes.
    async fn draw_until<T>(
        &mut self,
        coming: impl Future<Output = T>,
        trouble: Option<&str>,
    ) -> io::Result<T> {
        let mut coming = pin!(coming);
        loop {
            self.draw(trouble)?;
            tokio::select! {
                come = &mut coming => return Ok(come),
                () = self.resizes.next() => {}
            }
        }
    }

    fn draw(&mut self, trouble: Option<&str>) -> io::Result<()> {
        let Size { columns, lines } = size();
        let last = match trouble {
            Some(trouble) => self.style.paint(Tone::Bad, trouble),
            None => self.style.paint(Tone::Muted, self.end),
        };
        // The last line stays even where there is room for little else.
        let size = Size { columns, lines: lines.saturating_sub(2) };
        let page = self.watched.page(size, self.style);
        let last = [String::new(), last.into_owned()];
        self.screen.draw(page.iter().chain(&last), columns)
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
    fn draw<'a>(
        &mut self,
        lines: impl Iterator<Item = &'a String>,
        columns: usize,
    ) -> io::Result<()> {
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

fn size() -> Size {
    let (Width(columns), Height(lines)) =
        terminal_size::terminal_size().unwrap_or((Width(80), Height(24)));
    Size { columns: usize::from(columns), lines: usize::from(lines) }
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

/// Changes of the terminal's size.
#[cfg(unix)]
struct Resizes(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Resizes {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self(signal(SignalKind::window_change()).ok())
    }

    /// Waits for the next.
    async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            // The next update is a second away.
            None => std::future::pending().await,
        }
    }
}

/// Changes of the terminal's size, which nobody tells of here; the next update is a second away.
#[cfg(not(unix))]
struct Resizes;

#[cfg(not(unix))]
impl Resizes {
    fn new() -> Self {
        Self
    }

    fn next(&mut self) -> std::future::Pending<()> {
        std::future::pending()
    }
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
