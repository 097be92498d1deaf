//! Linux: systemd-resolved, over the system's bus.
//!
//! What is set belongs to the interface and is gone when that is, however the service ends. It says
//! where to ask for the network's zones and that nothing else is to be asked there: the domains are
//! for routing only, so no short name is completed with them, and the interface is no way for other
//! names. Answers have no signatures, and the server speaks nothing but plain DNS.
//!
//! Where systemd-resolved does not run, nothing is changed: `/etc/resolv.conf` belongs to whoever
//! wrote it. A hint has the line for the programs that can be told in one.

use std::future::{pending, poll_fn};
use std::net::Ipv6Addr;
use std::path::Path;
use std::pin::Pin;

use nix::net::if_::if_nametoindex;
use planetary_circles::names::SUFFIX;
use serde::Serialize;
use zbus::export::futures_core::Stream;
use zbus::zvariant::DynamicType;
use zbus::{
    Connection, MatchRule, Message, MessageStream, ObjectPath, OwnedObjectPath, OwnedVariant, fdo,
    message,
};

use super::{Place, Unwired, zones};

/// What is told.
pub(super) const RESOLVER: &str = "systemd-resolved";

const SERVICE: &str = "org.freedesktop.resolve1";
const PATH: &str = "/org/freedesktop/resolve1";
const MANAGER: &str = "org.freedesktop.resolve1.Manager";
const LINK: &str = "org.freedesktop.resolve1.Link";
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// Address family of IPv6, as the system numbers it.
const AF_INET6: i32 = 10;

/// The system's resolver.
pub(super) struct Resolver {
    bus: Option<Bus>,
}

struct Bus {
    connection: Connection,
    /// Tells when the resolver is started anew.
    owners: MessageStream,
}

/// Nothing lasts longer than the interface.
pub(super) async fn sweep() {
    std::future::ready(()).await;
}

impl Resolver {
    pub(super) fn new() -> Self {
        Self { bus: None }
    }

    /// Tells the resolver, unless it knows.
    pub(super) async fn wire(&mut self, place: &Place) -> Result<&'static str, Unwired> {
        let bus = match self.bus.take().filter(|bus| !bus.connection.is_closed()) {
            Some(bus) => bus,
            None => Bus::connect().await.map_err(|error| {
                tracing::debug!(%error, "the system's bus cannot be reached");
                Unwired::NoResolver
            })?,
        };
        self.bus.insert(bus).tell(place).await.map(|()| RESOLVER)
    }

    /// Lets the resolver forget what it was told. An interface that is gone is forgotten already.
    pub(super) async fn unwire(&mut self, place: &Place) {
        let Some(bus) = &self.bus else { return };
        let Ok(link) = index(place) else { return };
        if bus.is_there().await.unwrap_or(false)
            && let Err(error) = bus.manage("RevertLink", &(link,)).await
        {
            tracing::debug!(%error, "the resolver forgets with the interface");
        }
    }

    /// Waits until the resolver has been started anew, or the bus.
    pub(super) async fn restarted(&mut self) {
        match &mut self.bus {
            None => pending().await,
            Some(bus) => {
                // The end of the stream is that of the bus.
                poll_fn(|context| Pin::new(&mut bus.owners).poll_next(context)).await;
            }
        }
    }
}

impl Bus {
    async fn connect() -> zbus::Result<Self> {
        let connection = Connection::system().await?;
        let rule = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .sender(BUS)
            .path(BUS_PATH)
            .interface(BUS)
            .member("NameOwnerChanged")
            .arg(0, SERVICE)
            .build()?;
        let owners = MessageStream::for_match_rule(rule, &connection, None).await?;
        Ok(Self { connection, owners })
    }

    async fn tell(&self, place: &Place) -> Result<(), Unwired> {
        // The bus would start it otherwise, which is not ours to decide.
        if !self.is_there().await.unwrap_or(false) {
            return Err(Unwired::NoResolver);
        }
        let link = index(place)?;
        if self.knows(link, place).await.unwrap_or(false) {
            return Ok(());
        }
        let set = async {
            // The server comes last, so that nothing is asked there before it is clear what.
            let domains: Vec<_> = zones().map(|zone| (zone, true)).collect();
            self.manage("SetLinkDomains", &(link, domains)).await?;
            self.manage("SetLinkDefaultRoute", &(link, false)).await?;
            for protocol in ["LLMNR", "MulticastDNS", "DNSOverTLS", "DNSSEC"] {
                let method = format!("SetLink{protocol}");
                self.manage(&method, &(link, "no")).await?;
            }
            let server = (AF_INET6, place.server.octets().to_vec());
            self.manage("SetLinkDNS", &(link, vec![server])).await.map(drop)
        };
        set.await.map_err(|error| match &error {
            zbus::Error::FDO(refusal) if is_forbidden(refusal) => Unwired::Forbidden(RESOLVER),
            _ => Unwired::Failed { resolver: RESOLVER, reason: error.to_string() },
        })
    }

    async fn is_there(&self) -> zbus::Result<bool> {
        let call = self.connection.call_method(
            Some(BUS),
            BUS_PATH,
            Some(BUS),
            "NameHasOwner",
            &(SERVICE,),
        );
        call.await?.body().deserialize()
    }

    /// Whether the resolver asks at the place for all zones.
    async fn knows(&self, link: i32, place: &Place) -> zbus::Result<bool> {
        let path: OwnedObjectPath = self.manage("GetLink", &(link,)).await?.body().deserialize()?;
        let servers = self.property(&path, "DNS").await?;
        let servers: Vec<(i32, Vec<u8>)> =
            servers.body().deserialize::<OwnedVariant>()?.try_into()?;
        let domains = self.property(&path, "Domains").await?;
        let domains: Vec<(String, bool)> =
            domains.body().deserialize::<OwnedVariant>()?.try_into()?;
        let asks = |zone: &str| domains.contains(&(zone.to_owned(), true));
        let wanted = [(AF_INET6, place.server.octets().to_vec())];
        Ok(servers == wanted && domains.len() == zones().count() && zones().all(asks))
    }

    async fn property(&self, path: &ObjectPath<'_>, name: &str) -> zbus::Result<Message> {
        let properties = "org.freedesktop.DBus.Properties";
        let body = (LINK, name);
        self.connection.call_method(Some(SERVICE), path, Some(properties), "Get", &body).await
    }

    async fn manage<B>(&self, method: &str, body: &B) -> zbus::Result<Message>
    where
        B: Serialize + DynamicType,
    {
        self.connection.call_method(Some(SERVICE), PATH, Some(MANAGER), method, body).await
    }
}

fn is_forbidden(refusal: &fdo::Error) -> bool {
    use fdo::Error::{AccessDenied, InteractiveAuthorizationRequired};
    matches!(refusal, AccessDenied(_) | InteractiveAuthorizationRequired(_))
}

fn index(place: &Place) -> Result<i32, Unwired> {
    let gone = |reason: String| Unwired::Failed { resolver: RESOLVER, reason };
    let index = if_nametoindex(place.interface.as_str()).map_err(|error| {
        gone(format!("the interface {} has no number: {error}", place.interface))
    })?;
    i32::try_from(index).map_err(|error| gone(error.to_string()))
}

/// What to do when the system was not told.
pub(super) fn hint(error: &Unwired, place: &Place) -> String {
    let Place { interface, server } = place;
    match error {
        Unwired::NoResolver => for_others(*server, |path| Path::new(path).is_dir()),
        Unwired::Forbidden(_) | Unwired::Failed { .. } => {
            let domains: Vec<_> = zones().map(|zone| format!("'~{zone}'")).collect();
            format!(
                "run as root, each time the node comes up: `resolvectl domain {interface} {} && \
                 resolvectl default-route {interface} false && resolvectl dnssec {interface} no \
                 && resolvectl dns {interface} {server}`; or let \
                 `planetaryd install` write /etc/polkit-1/rules.d/planetary.rules",
                domains.join(" ")
            )
        }
    }
}

/// What to do when the resolver was told, but programs do not ask it.
pub(super) fn hint_unasked(_: &Place) -> String {
    "programs do not ask systemd-resolved; make /etc/resolv.conf a link to \
     /run/systemd/resolve/stub-resolv.conf"
        .to_owned()
}

/// The line for a resolver whose folder is there.
fn for_others(server: Ipv6Addr, exists: impl Fn(&str) -> bool) -> String {
    let dnsmasq = format!("server=/{SUFFIX}/{server}");
    let (file, line, program) = if exists("/etc/NetworkManager/dnsmasq.d") {
        ("/etc/NetworkManager/dnsmasq.d/planetary.conf", dnsmasq, "NetworkManager")
    } else if exists("/etc/unbound/unbound.conf.d") {
        let line = format!(
            "server: {{ domain-insecure: \"{SUFFIX}\" local-zone: \"{SUFFIX}\" transparent }} \
             forward-zone: {{ name: \"{SUFFIX}\" forward-addr: {server} }}"
        );
        ("/etc/unbound/unbound.conf.d/planetary.conf", line, "unbound")
    } else if exists("/etc/dnsmasq.d") {
        ("/etc/dnsmasq.d/planetary.conf", dnsmasq, "dnsmasq")
    } else {
        return format!(
            "have the computer's resolver ask {server} for {SUFFIX}: systemd-resolved is told by \
             the service, dnsmasq by the line `{dnsmasq}`"
        );
    };
    format!("put `{line}` into {file} and restart {program}")
}
