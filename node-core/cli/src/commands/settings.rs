//! `planetary settings` and `planetary listener`: what of the configuration can be changed one by
//! one.

use planetary_ipc::status::public_uri;
use planetary_ipc::{Settings, SettingsChange};

use crate::args::{ListenerCommand, SettingsCommand};
use crate::failure::Failure;
use crate::format::{self, Printer};
use crate::session::Session;

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    command: Option<SettingsCommand>,
) -> Result<(), Failure> {
    let client = session.client().await?;
    let settings = match command {
        None => client.settings().await?,
        Some(SettingsCommand::Set { setting }) => client.change_settings(setting.change()).await?,
    };
    Ok(printer.print(&*settings, |settings, _| shown(settings))?)
}

pub(super) async fn listener(
    session: &Session,
    printer: &Printer,
    command: ListenerCommand,
) -> Result<(), Failure> {
    let mut change = SettingsChange::default();
    let (done, uri) = match command {
        ListenerCommand::Add { uri } => {
            change.listen_add.push(uri.clone());
            ("Listening on", uri)
        }
        ListenerCommand::Remove { uri } => {
            change.listen_remove.push(uri.clone());
            ("No longer listening on", uri)
        }
    };
    let settings = session.client().await?.change_settings(change).await?;
    let uri = public_uri(&uri);
    Ok(printer.print(&*settings, |_, _| format!("{done} {}.\n", format::plain(&uri)))?)
}

fn shown(settings: &Settings) -> String {
    let list = &settings.public_list;
    let listen = match &settings.listen[..] {
        [] => format::dash(),
        uris => uris.join(", "),
    };
    let key = list.key.map_or_else(format::dash, |key| key.to_string());
    format::fields(&[
        ("listen", listen),
        ("inbound", settings.inbound.name().to_owned()),
        ("echo", settings.echo.name().to_owned()),
        ("sessions", settings.sessions.name().to_owned()),
        ("names", settings.names.to_string()),
        ("lan", settings.lan.to_string()),
        ("transit", settings.transit.name().to_owned()),
        ("save_on_battery", settings.save_on_battery.to_string()),
        ("save_on_metered", settings.save_on_metered.to_string()),
        ("gateway_socks", or_none(&settings.gateway_socks)),
        ("gateway_http", or_none(&settings.gateway_http)),
        ("metrics", or_none(&settings.metrics)),
        ("node_info_privacy", settings.node_info_privacy.to_string()),
        ("release_check", settings.release_check.to_string()),
        ("log_level", settings.log_level.name().to_owned()),
        ("public_list_url", or_none(&list.url)),
        ("public_list_key", key),
        ("file", settings.config_file.clone()),
    ])
}

fn or_none(value: &Option<String>) -> String {
    value.clone().unwrap_or_else(format::dash)
}
