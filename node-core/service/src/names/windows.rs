//! Windows: a rule in the name resolution policy table, in the registry of the DNS client.
//!
//! The rule has a name of its own, by which it is found again: it outlives the service and the
//! computer's start, so one that was left is removed first. Rules of a group policy beat all local
//! ones; where there are some, this one has no effect, and the hint says so.

use std::future::pending;
use std::io;
use std::process::{Command, Stdio};

use windows_registry::LOCAL_MACHINE;

use super::{Place, Unwired, zones};

/// What is told.
pub(super) const RESOLVER: &str = "the DNS client of Windows";

/// The rule, by a name that is nobody else's.
const RULE: &str = concat!(
    r"SYSTEM\CurrentControlSet\Services\Dnscache\Parameters\DnsPolicyConfig\",
    "{5b0f1d2e-7c64-4c8e-9a53-7b1c0e6f2a53}"
);
/// Where those of a group policy are.
const POLICY: &str = r"SOFTWARE\Policies\Microsoft\Windows NT\DNSClient\DnsPolicyConfig";

/// The version of rules that Windows 8 and later read.
const VERSION: u32 = 2;
/// The rule says which servers are asked, and nothing of DNSSEC or DirectAccess.
const ASKS_SERVERS: u32 = 8;

const ACCESS_DENIED: u32 = 0x8007_0005;
const NOT_FOUND: u32 = 0x8007_0002;

/// The system's resolver.
pub(super) struct Resolver;

pub(super) async fn sweep() {
    if let Err(error) = in_registry(remove).await {
        tracing::warn!(%error, "what an earlier run told the DNS client is there still");
    }
}

impl Resolver {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) async fn wire(&mut self, place: &Place) -> Result<&'static str, Unwired> {
        let server = place.server.to_string();
        let told = in_registry(move || {
            if is_there(&server) {
                return Ok(());
            }
            write(&server)?;
            forget_answers();
            Ok(())
        });
        match told.await {
            Ok(()) => Ok(RESOLVER),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Unwired::Forbidden(RESOLVER))
            }
            Err(error) => Err(Unwired::Failed { resolver: RESOLVER, reason: error.to_string() }),
        }
    }

    pub(super) async fn unwire(&mut self, _: &Place) {
        sweep().await;
    }

    /// The registry outlives the client.
    pub(super) async fn restarted(&mut self) {
        pending().await
    }
}

async fn in_registry(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn is_there(server: &str) -> bool {
    let known = LOCAL_MACHINE.open(RULE).and_then(|rule| rule.get_string("GenericDNSServers"));
    known.is_ok_and(|known| known == server)
}

fn write(server: &str) -> io::Result<()> {
    // The leading dot stands for whatever is below.
    let zones: Vec<String> = zones().map(|zone| format!(".{zone}")).collect();
    let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
    let written = LOCAL_MACHINE.create(RULE).and_then(|rule| {
        rule.set_u32("Version", VERSION)?;
        rule.set_string("DisplayName", "Planetary Network")?;
        rule.set_string("Comment", "Written by planetaryd, which removes it when it stops.")?;
        rule.set_multi_string("Name", &zones)?;
        rule.set_string("IPSECCARestriction", "")?;
        rule.set_u32("ConfigOptions", ASKS_SERVERS)?;
        // Last: a rule without servers means nothing.
        rule.set_string("GenericDNSServers", server)
    });
    plain(written)
}

pub(super) fn remove() -> io::Result<()> {
    match plain(LOCAL_MACHINE.remove_tree(RULE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(()) => {
            forget_answers();
            Ok(())
        }
        error => error,
    }
}

/// An answer that was kept would stand in the way of the rule, or outlive it.
fn forget_answers() {
    let system = std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
    let program = std::path::Path::new(&system).join(r"System32\ipconfig.exe");
    let mut command = Command::new(program);
    command.arg("/flushdns").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Err(error) = command.status() {
        tracing::debug!(%error, "the DNS client keeps its answers until they are old");
    }
}

fn plain<T>(done: windows_registry::Result<T>) -> io::Result<T> {
    done.map_err(|error| {
        let kind = match error.code().0.cast_unsigned() {
            ACCESS_DENIED => io::ErrorKind::PermissionDenied,
            NOT_FOUND => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error.message())
    })
}

/// What to do when the system was not told.
pub(super) fn hint(error: &Unwired, place: &Place) -> String {
    let server = place.server;
    format!(
        "{error}; run in a PowerShell of an administrator: `Add-DnsClientNrptRule -Namespace \
         '.pln.internal' -NameServers '{server}'`"
    )
}

/// What to do when the system was told, but does not ask.
pub(super) fn hint_unasked(_: &Place) -> String {
    let of_policy = LOCAL_MACHINE.open(POLICY).and_then(|rules| rules.keys().map(Iterator::count));
    if of_policy.is_ok_and(|count| count > 0) {
        return "a group policy has name resolution rules of its own, which beat those of this \
                computer; whoever administrates it can add one for .pln.internal"
            .to_owned();
    }
    "restart the computer, so that its DNS client reads its rules anew".to_owned()
}
