//! What the pages may call. Each forwards and converts; there is no policy here.

use std::sync::Arc;

use planetary_ipc::import::ImportSecret;
use planetary_ipc::{IdentityImport, Reply, SettingsImport, Topic};
use serde_json::Value;
use tauri::State;
use tauri::ipc::Invoke;
use zeroize::Zeroizing;

use crate::controller::connection::{Connection, Step};
use crate::controller::failure::Failure;
use crate::controller::link::Link;
use crate::controller::paper::{PaperKey, RecoveryWords, SignedOperation};
use crate::controller::preferences::{Preferences, PreferencesChange};
use crate::controller::saving::{SaveKind, SavedFile};
use crate::controller::{About, Controller, Shell};
use crate::desktop::Desktop;

type App<'a> = State<'a, Arc<Controller<Desktop>>>;
type Outcome<T> = Result<T, Failure>;

/// All commands.
pub(crate) fn handler() -> impl Fn(Invoke) -> bool + Send + Sync + 'static {
    tauri::generate_handler![
        about,
        ask,
        change_preferences,
        connection,
        copy,
        identity_export,
        identity_import,
        pending_links,
        preferences,
        quit,
        read_link,
        recovery_key,
        recovery_sign,
        recovery_words,
        save,
        settings_import,
        supervise,
        watch,
    ]
}

#[tauri::command]
fn connection(app: App<'_>) -> Connection {
    app.connection()
}

#[tauri::command]
async fn ask(app: App<'_>, request: Value) -> Outcome<Reply> {
    app.ask(request).await
}

#[tauri::command]
fn watch(app: App<'_>, topics: Vec<Topic>) {
    app.watch(topics);
}

#[tauri::command]
async fn supervise(app: App<'_>, step: Step) -> Outcome<()> {
    app.supervise(step).await
}

#[tauri::command]
async fn read_link(app: App<'_>, text: String) -> Outcome<Link> {
    app.read_link(&text).await
}

#[tauri::command]
fn pending_links(app: App<'_>) -> Vec<String> {
    app.pending_links()
}

#[tauri::command]
fn recovery_words() -> Outcome<RecoveryWords> {
    RecoveryWords::make()
}

#[tauri::command]
fn recovery_key(words: Zeroizing<String>) -> Outcome<PaperKey> {
    PaperKey::of(&words)
}

#[tauri::command]
fn recovery_sign(words: Zeroizing<String>, operation: String) -> Outcome<SignedOperation> {
    SignedOperation::sign(&words, &operation)
}

#[tauri::command]
async fn identity_export(
    app: App<'_>,
    passphrase: Zeroizing<String>,
) -> Outcome<Option<SavedFile>> {
    app.export_identity(passphrase).await
}

#[tauri::command]
async fn identity_import(
    app: App<'_>,
    text: Zeroizing<String>,
    passphrase: Option<Zeroizing<String>>,
    dry_run: bool,
    replace: bool,
) -> Outcome<IdentityImport> {
    app.import_identity(ImportSecret { passphrase, text }, dry_run, replace).await
}

#[tauri::command]
async fn settings_import(
    app: App<'_>,
    text: Zeroizing<String>,
    name: String,
    dry_run: bool,
    replace: bool,
    keep_identity: bool,
) -> Outcome<SettingsImport> {
    let is_toml = name.to_lowercase().ends_with(".toml");
    app.import_settings(&text, is_toml, dry_run, replace, keep_identity).await
}

#[tauri::command]
async fn save(
    app: App<'_>,
    name: String,
    kind: SaveKind,
    data: String,
) -> Outcome<Option<SavedFile>> {
    app.save(&name, kind, data).await
}

#[tauri::command]
fn copy(app: App<'_>, text: String) -> Outcome<()> {
    app.shell().copy(&text)
}

#[tauri::command]
fn preferences(app: App<'_>) -> Preferences {
    app.preferences()
}

#[tauri::command]
fn change_preferences(app: App<'_>, change: PreferencesChange) -> Outcome<Preferences> {
    app.change_preferences(&change)
}

#[tauri::command]
fn about(app: App<'_>) -> About {
    app.about()
}

#[tauri::command]
fn quit(app: App<'_>) {
    app.shell().quit();
}
