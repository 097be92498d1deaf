//! Settings of the mock: what the real ones hold, checked as far as it shows.

use std::net::SocketAddr;

use super::world::World;
use crate::error::{ApiError, ErrorCode};
use crate::friends::Audience;
use crate::limits;
use crate::message::{Reply, Request};
use crate::settings::{LogThreshold, PublicList, SessionsSetting, Settings, SettingsChange};
use crate::status::public_uri;
use crate::transit::TransitMode;

/// Transports that can be listened on.
const SCHEMES: [&str; 6] = ["tcp", "tls", "quic", "ws", "wss", "unix"];

/// An address that some other program has.
const TAKEN: &str = "tcp://[::]:80";

/// What a fresh configuration says.
pub(super) fn fresh() -> Settings {
    Settings {
        names: true,
        lan: true,
        transit: TransitMode::Reluctant,
        save_on_battery: true,
        save_on_metered: true,
        gateway_socks: None,
        gateway_http: None,
        metrics: None,
        listen: vec!["tls://[::]:12345".to_owned()],
        inbound: Audience::Circles,
        echo: Audience::Circles,
        sessions: SessionsSetting::Auto,
        node_info_privacy: true,
        log_level: LogThreshold::Info,
        public_list: PublicList { url: None, key: None },
        release_check: true,
        config_file: "/etc/planetary/config.toml".to_owned(),
    }
}

impl World {
    /// Answers what is about settings.
    pub(super) fn answer_about_settings(&mut self, request: Request) -> Result<Reply, ApiError> {
        if let Request::SettingsChange { change } = request {
            // A copy, so that a change is done as a whole or not at all.
            self.settings = changed(self.settings.clone(), change)?;
        }
        Ok(Reply::Settings(Box::new(self.settings.clone())))
    }
}

fn changed(mut settings: Settings, change: SettingsChange) -> Result<Settings, ApiError> {
    for uri in &change.listen_remove {
        let shown = public_uri(uri);
        let Some(index) = settings.listen.iter().position(|listed| *listed == shown) else {
            let text = format!("{shown} is not in the configuration file");
            return Err(ApiError::new(ErrorCode::ListenerNotFound, text));
        };
        settings.listen.remove(index);
    }
    for uri in &change.listen_add {
        listen(&mut settings, uri)?;
    }
    let SettingsChange { inbound, echo, sessions, names, node_info_privacy, log_level, .. } =
        change;
    settings.inbound = inbound.unwrap_or(settings.inbound);
    settings.echo = echo.unwrap_or(settings.echo);
    settings.sessions = sessions.unwrap_or(settings.sessions);
    settings.names = names.unwrap_or(settings.names);
    settings.lan = change.lan.unwrap_or(settings.lan);
    settings.transit = change.transit.unwrap_or(settings.transit);
    settings.save_on_battery = change.save_on_battery.unwrap_or(settings.save_on_battery);
    settings.save_on_metered = change.save_on_metered.unwrap_or(settings.save_on_metered);
    local_listener(&mut settings.gateway_socks, change.gateway_socks, "gateway.socks")?;
    local_listener(&mut settings.gateway_http, change.gateway_http, "gateway.http")?;
    local_listener(&mut settings.metrics, change.metrics, "metrics.listen")?;
    settings.node_info_privacy = node_info_privacy.unwrap_or(settings.node_info_privacy);
    settings.log_level = log_level.unwrap_or(settings.log_level);
    settings.release_check = change.release_check.unwrap_or(settings.release_check);
    let open = settings.inbound == Audience::Everyone || settings.echo == Audience::Everyone;
    if open && settings.sessions == SessionsSetting::Circles {
        let key = if settings.inbound == Audience::Everyone { "inbound" } else { "echo" };
        return Err(refused(format!(
            "filter.{key}: is \"everyone\", while sessions = \"circles\" gives strangers no \
             session; remove `sessions`, or write \"circles\" here as well"
        )));
    }
    if let Some(url) = change.public_list_url {
        if !url.is_empty() && !url.starts_with("https://") {
            let shown = public_uri(&url);
            return Err(refused(format!("public_peers.url: \"{shown}\" cannot be fetched")));
        }
        settings.public_list.url = (!url.is_empty()).then_some(url);
    }
    if let Some(key) = change.public_list_key {
        settings.public_list.key = match key.as_str() {
            "" => None,
            digits => Some(digits.parse().map_err(|_| {
                refused("public_peers.key: a key has 64 hexadecimal digits".to_owned())
            })?),
        };
    }
    Ok(settings)
}

/// Takes over an address of this computer; an empty one ends it.
fn local_listener(
    kept: &mut Option<String>,
    wished: Option<String>,
    key: &str,
) -> Result<(), ApiError> {
    match wished.as_deref() {
        None => return Ok(()),
        Some("") => *kept = None,
        Some(address) => match address.parse::<SocketAddr>() {
            Ok(parsed) if parsed.ip().is_loopback() => *kept = Some(address.to_owned()),
            _ => return Err(refused(format!("{key}: expected a loopback address with a port"))),
        },
    }
    Ok(())
}

fn listen(settings: &mut Settings, uri: &str) -> Result<(), ApiError> {
    let shown = public_uri(uri);
    let (scheme, place) = shown.split_once("://").unwrap_or_default();
    let is_place = place.contains(if scheme == "unix" { '/' } else { ':' });
    if !SCHEMES.contains(&scheme) || !is_place {
        let text = format!("`{shown}` cannot be listened on");
        let hint = "a listener looks like tls://[::]:9001";
        return Err(ApiError::new(ErrorCode::InvalidUri, text).with_hint(hint));
    }
    if settings.listen.contains(&shown) {
        let text = format!("{shown} is configured already");
        return Err(ApiError::new(ErrorCode::ListenerExists, text));
    }
    if settings.listen.len() >= limits::LISTENERS_CHANGED_MAX {
        let most = limits::LISTENERS_CHANGED_MAX;
        let text = format!("the configuration file lists {most} listeners already");
        return Err(ApiError::new(ErrorCode::ListenerLimit, text));
    }
    if shown == TAKEN {
        let text = format!("cannot listen on {shown}: Address already in use (os error 98)");
        return Err(ApiError::new(ErrorCode::CannotListen, text));
    }
    settings.listen.push(shown);
    Ok(())
}

fn refused(text: String) -> ApiError {
    ApiError::new(ErrorCode::InvalidSetting, text)
}
