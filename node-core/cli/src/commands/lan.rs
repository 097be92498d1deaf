//! `planetary lan`: what is done about other nodes on the local network.

use planetary_ipc::{Lan, LanInterface, LanState, Status};

use crate::args::LanCommand;
use crate::ask;
use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style, Tone};
use crate::session::Session;

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    command: Option<LanCommand>,
) -> Result<(), Failure> {
    let client = session.client().await?;
    let before = &client.hello().status;
    let (place, trusted) = match command {
        None => return Ok(printer.print(&before.lan, page)?),
        Some(LanCommand::Trust { place }) => (place, true),
        Some(LanCommand::Distrust { place }) => (place, false),
    };
    let network = network(&before.lan, &place.name)?;
    let after = client.trust_network(&network, trusted).await?;
    Ok(printer.print(&after.lan, page)?)
}

/// The network that is meant: by the interface, by its own name, or by what people call it.
fn network(lan: &Lan, name: &str) -> Result<String, Failure> {
    let named = lan.interfaces.iter().find(|interface| interface.name == name);
    if let Some(interface) = named {
        return interface.network.clone().ok_or_else(|| {
            let mistake = format!("nothing can be seen of the network behind {name} yet");
            ask::usage(&mistake, "try again once it is connected")
        });
    }
    let called = |interface: &&LanInterface| interface.label.as_deref() == Some(name);
    let mut networks: Vec<_> =
        lan.interfaces.iter().filter(called).filter_map(|one| one.network.as_ref()).collect();
    networks.sort_unstable();
    networks.dedup();
    match networks[..] {
        [network] => Ok(network.clone()),
        // The service knows best whether there is such a network.
        [] => Ok(name.to_owned()),
        _ => {
            let mistake = format!("several networks are called {}", format::plain(name));
            Err(ask::usage(&mistake, "name the interface instead"))
        }
    }
}

fn page(lan: &Lan, style: Style) -> String {
    if !lan.enabled {
        return "Other nodes are not looked for on the local network. Switch it on with: planetary \
                settings set lan true\n"
            .to_owned();
    }
    let links = format!("{} of at most {} links", lan.links, lan.max_links);
    let mut text = format!("{}\n", style.paint(Tone::Strong, &links));
    if lan.interfaces.is_empty() {
        return text + "No interface is connected to a local network.\n";
    }
    let heading = [
        ("INTERFACE", Align::Left),
        ("KIND", Align::Left),
        ("NETWORK", Align::Left),
        ("NAME", Align::Left),
        ("LINKS", Align::Right),
        ("WHAT IS DONE", Align::Left),
    ];
    let rows: Vec<_> = lan.interfaces.iter().map(row).collect();
    text += &format::table(heading, &rows, style);
    if let Some(unknown) = unknown(lan).next() {
        let name = format::quoted(&unknown.name);
        text += &format!("\nLook for nodes there with: planetary lan trust {name}\n");
    }
    text
}

fn row(interface: &LanInterface) -> [String; 6] {
    let done = match interface.state {
        LanState::Active => "announces itself and listens",
        LanState::Unknown => "nothing, until it is trusted",
        LanState::Refused => "nothing: you said no",
        LanState::Excluded => "nothing: left out by lan.interfaces",
        LanState::Failed => "nothing: the system refused, see the log",
    };
    [
        interface.name.clone(),
        if interface.wireless { "Wi-Fi" } else { "wire" }.to_owned(),
        interface.network.clone().unwrap_or_else(format::dash),
        interface.label.clone().unwrap_or_else(format::dash),
        interface.links.to_string(),
        done.to_owned(),
    ]
}

/// The interfaces of which the person has not said anything yet.
fn unknown(lan: &Lan) -> impl Iterator<Item = &LanInterface> {
    lan.interfaces.iter().filter(|one| one.state == LanState::Unknown && one.network.is_some())
}

/// What there is to say of it on the page about the node.
pub(super) fn in_short(status: &Status) -> Option<String> {
    let lan = &status.lan;
    let mut parts = Vec::new();
    if lan.links > 0 {
        let links = usize::try_from(lan.links).unwrap_or(usize::MAX);
        let over = lan.interfaces.iter().filter(|interface| interface.links > 0);
        let over: Vec<_> = over.map(|interface| interface.name.as_str()).collect();
        parts.push(format!("{} over {}", format::count(links, "link", "links"), over.join(", ")));
    }
    parts.extend(unknown(lan).map(|one| {
        let label = one.label.as_ref().map_or_else(String::new, |label| format!(" ({label})"));
        let name = format::quoted(&one.name);
        format!("{}{label} is not trusted yet: planetary lan trust {name}", one.name)
    }));
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, network: Option<&str>, label: Option<&str>) -> LanInterface {
        let [network, label] = [network, label].map(|text| text.map(str::to_owned));
        let (name, state) = (name.to_owned(), LanState::Unknown);
        LanInterface { name, wireless: true, network, label, state, links: 0 }
    }

    #[test]
    fn a_network_has_several_names() {
        let interfaces = vec![
            interface("eth0", None, None),
            interface("wlan0", Some("aa"), Some("Cafe")),
            interface("wlan1", Some("bb"), Some("Home")),
            interface("wlan2", Some("bb"), Some("Home")),
        ];
        let mut lan = Lan { enabled: true, interfaces, ..Lan::default() };
        let meant = |lan: &Lan, name| network(lan, name).ok();
        for (name, expected) in
            [("wlan0", Some("aa")), ("Cafe", Some("aa")), ("Home", Some("bb")), ("cc", Some("cc"))]
        {
            assert_eq!(meant(&lan, name).as_deref(), expected, "{name}");
        }
        assert_eq!(meant(&lan, "eth0"), None);
        lan.interfaces[3].network = Some("dd".to_owned());
        assert_eq!(meant(&lan, "Home"), None);
    }
}
