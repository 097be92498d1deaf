//! `planetary path`: the way to another node.

use planetary_ipc::{Cipher, Hop, PathReport, SessionReport, SessionState, Target};

use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style};
use crate::session::Session;

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    target: Target,
) -> Result<(), Failure> {
    let path = session.client().await?.path(target).await?;
    Ok(printer.print(&path, |path, _| render(path))?)
}

fn render(path: &PathReport) -> String {
    let distance = match path.distance {
        Some(0) => "none, this is the node itself".to_owned(),
        Some(hops) => {
            let hops = usize::try_from(hops).unwrap_or(usize::MAX);
            format!("{} over the tree", format::count(hops, "hop", "hops"))
        }
        None => "unknown".to_owned(),
    };
    let mut rows = vec![
        ("address", path.address.to_string()),
        ("key", path.key.to_string()),
        ("coordinates", format::coordinates(path.coordinates.as_deref())),
        ("distance", distance),
    ];
    if let Some(age) = path.age_s {
        rows.push(("learnt", format!("{} ago", format::duration(age))));
    }
    for (place, hop) in path.next_hops.iter().enumerate() {
        let name = if place == 0 { "next hop" } else { "or" };
        rows.push((name, format!("{}, {}", hop.uri, format::milliseconds(hop.latency_ms))));
    }
    if path.next_hops.is_empty() && path.distance != Some(0) {
        rows.push(("next hop", "none: no peer leads there".to_owned()));
    }
    rows.push(("session", session_text(&path.session)));
    let way = way(&path.hops);
    format!("The way to {}\n{}{way}", path.target, format::fields(&rows))
}

/// The nodes on the way, this node first; nothing where there is none between.
fn way(hops: &[Hop]) -> String {
    let [_, between @ .., _] = hops else { return String::new() };
    if between.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = hops
        .iter()
        .map(|hop| {
            let address = hop.address.map_or_else(format::dash, |address| address.to_string());
            [address, format::coordinates(hop.coordinates.as_deref())]
        })
        .collect();
    let heading = [("OVER", Align::Left), ("COORDINATES", Align::Left)];
    format!("\n{}", format::table(heading, &rows, Style::Plain))
}

fn session_text(session: &SessionReport) -> String {
    match session.state {
        SessionState::None => "none".to_owned(),
        SessionState::Opening => "opening".to_owned(),
        SessionState::Established => {
            let bytes = |count: Option<u64>| count.map_or_else(format::dash, format::bytes);
            let (rx, tx) = (bytes(session.rx_bytes), bytes(session.tx_bytes));
            let uptime = session.uptime_s.map_or_else(format::dash, format::duration);
            let cipher = session.cipher.map_or("", cipher_text);
            format!("open for {uptime}, {rx} received, {tx} sent{cipher}")
        }
    }
}

const fn cipher_text(cipher: Cipher) -> &'static str {
    match cipher {
        Cipher::Compatible => ", compatible (XSalsa20-Poly1305)",
        Cipher::Aes256Gcm => ", fast (AES-256-GCM, post-quantum keys)",
        Cipher::Chacha20Poly1305 => ", fast (ChaCha20-Poly1305, post-quantum keys)",
    }
}
